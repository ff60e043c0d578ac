"""A database that was restored to an earlier moment takes from the streams what came after it."""

import asyncio
import os
import subprocess
import sys
from typing import Any

from redis.asyncio import Redis

from prediction_log.event_decoding import decode_audit
from prediction_log.stream_rewind import rewind_streams
from servicekit.event_stream import EventConsumer, EventPublisher
from servicekit.identifiers import new_id
from testkit.stores import Store
from weir.events.v1 import events_pb2

GROUP = "prediction_log"


async def consume(redis: Redis, stream: str, handle: Any) -> None:
    consumer = EventConsumer(redis, stream=stream, group=GROUP, consumer="log-0", block=0.01)
    while await consumer.consume_once(handle):
        pass


def audited() -> events_pb2.AuditRecorded:
    fact = events_pb2.AuditRecorded(
        event_id=str(new_id()), action="token.issue", outcome=events_pb2.AUDIT_OUTCOME_ALLOWED
    )
    fact.occurred_at.GetCurrentTime()
    return fact


async def test_group_set_back_to_the_beginning_fills_what_is_missing_and_doubles_nothing(
    log: Any, facts: Any, redis: Redis
) -> None:
    publisher = EventPublisher(redis)
    streams = {"weir:predictions:0": log.recorder(), "weir:audit": log.recorder(decode_audit)}
    for _ in range(4):
        await publisher.publish("weir:predictions:0", [facts.prediction() for _ in range(5)])
        await publisher.publish("weir:audit", [audited() for _ in range(5)])
    for stream, recorder in streams.items():
        await consume(redis, stream, recorder.record)
    before = await log.rows("SELECT id FROM prediction_logs ORDER BY id")
    # As if restored to a moment in the middle.
    await log.tamper(
        "DELETE FROM prediction_logs WHERE id > (SELECT percentile_disc(0.5) "
        "WITHIN GROUP (ORDER BY id) FROM prediction_logs)",
        "DELETE FROM audit_log WHERE batch > 0",
        "DELETE FROM audit_batches WHERE number > 0",
    )
    held = await rewind_streams(redis, [*streams, "weir:never"], GROUP)
    assert held == {"weir:predictions:0": 20, "weir:audit": 20}
    for stream, recorder in streams.items():
        await consume(redis, stream, recorder.record)
    assert await log.rows("SELECT id FROM prediction_logs ORDER BY id") == before
    assert await log.count("audit_log") == 20
    assert await log.count("dead_letters") == 0


async def test_command_says_how_much_comes_again(
    facts: Any, redis: Redis, redis_server: Store
) -> None:
    await EventPublisher(redis).publish("weir:predictions:0", [facts.prediction()])
    await redis.xgroup_create("weir:predictions:0", GROUP, id="$")

    def run(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "prediction_log", "rewind-streams"],
            env=os.environ | {"WEIR_EVENTS_REDIS_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )

    done = await asyncio.to_thread(run, redis_server.url)
    assert (done.returncode, done.stdout) == (0, "weir:predictions:0  1 entries come again\n")
    group: Any = (await redis.xinfo_groups("weir:predictions:0"))[0]
    assert group["last-delivered-id"] == b"0-0"
    away = await asyncio.to_thread(run, "unix:///nowhere.sock")
    assert away.returncode == 1
    assert "cannot_start" in away.stdout

"""Several replicas on one stream, as processes that are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from servicekit.event_stream import EventPublisher
from testkit.stores import Store
from testkit.waiting import until

from .rollup_counts import assert_exact, connect

STREAM, GROUP = "weir:predictions:0", "prediction_log"
Replica = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def replica(log: Any, redis_server: Store, tmp_path: Path) -> Iterator[Replica]:
    """Starts the service under a name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> "subprocess.Popen[bytes]":
        environment = {
            "WEIR_DATABASE_URL": log.url,
            "WEIR_EVENTS_REDIS_URL": redis_server.url,
            "WEIR_INSTANCE": name,
            "WEIR_GRPC_ADDRESS": f"unix:{tmp_path}/{name}.sock",
            "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
            "WEIR_CLAIM_AFTER": "0.5",
            "WEIR_BATCH_SIZE": "100",
        }
        with (tmp_path / f"{name}.log").open("wb") as out:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "prediction_log"],
                    cwd=tmp_path,
                    env=os.environ | environment,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_batch_of_a_killed_replica_is_written_by_another_once(
    log: Any, redis: Redis, facts: Any, replica: Replica
) -> None:
    predictions = [facts.prediction() for _ in range(1000)]
    await EventPublisher(redis).publish(STREAM, predictions)
    writer = await connect(log)
    try:
        transaction = writer.transaction()
        await transaction.start()
        # Reads go on; inserts wait, so that the replica dies with a batch in its hands.
        await writer.execute("LOCK TABLE prediction_logs IN SHARE MODE")
        doomed = replica("doomed")

        async def a_batch_is_held() -> bool:
            if not await redis.exists(STREAM) or not await redis.xinfo_groups(STREAM):
                return False
            return bool((await redis.xpending(STREAM, GROUP))["pending"] >= 100)

        await until(a_batch_is_held, within=60)
        doomed.send_signal(signal.SIGKILL)
        doomed.wait()
        await transaction.rollback()
    finally:
        await writer.close()

    replica("alive")
    replica("well")

    async def everything_is_acknowledged() -> bool:
        (group,) = await redis.xinfo_groups(STREAM)
        waiting = await redis.xrange(STREAM, f"({group['last-delivered-id'].decode()}", count=1)
        return not waiting and (await redis.xpending(STREAM, GROUP))["pending"] == 0

    await until(everything_is_acknowledged, within=90)
    rows = await log.rows("SELECT id FROM prediction_logs")
    assert sorted(str(row["id"]) for row in rows) == sorted(
        fact.prediction_id for fact in predictions
    )
    await assert_exact(log)

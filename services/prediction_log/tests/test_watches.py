"""What the service watches: its schema and its streams."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from prediction_log.migrate import schema_revisions
from prediction_log.schema_watch import SchemaWatch
from prediction_log.stream_watch import StreamWatch
from servicekit.event_stream import EventConsumer, EventPublisher
from servicekit.redis_client import open_redis
from testkit.stores import PostgresStore, Store

STREAM = "weir:predictions:0"
GROUP = "prediction_log"
OpenLog = Callable[..., Any]


def watch_of(log: Any, *revisions: str) -> tuple[SchemaWatch, list[bool]]:
    told: list[bool] = []

    async def tell(usable: bool) -> None:
        told.append(usable)

    return SchemaWatch(log.database, revisions, tell), told


async def test_migrated_database_is_usable_and_said_so_once(log: Any) -> None:
    watch, told = watch_of(log, *schema_revisions())
    with capture_logs() as logs:
        for _ in range(3):
            await watch.look()
    assert told == [True]
    assert watch.ready.is_set()
    assert [entry["event"] for entry in logs] == ["database_ready"]
    assert REGISTRY.get_sample_value("weir_prediction_log_database_up") == 1


async def test_schema_of_an_earlier_version_is_not_used(log: Any) -> None:
    watch, told = watch_of(log, *schema_revisions(), "of tomorrow")
    with capture_logs() as logs:
        for _ in range(3):
            await watch.look()
    assert told == [False]
    assert not watch.ready.is_set()
    (entry,) = logs
    assert (entry["event"], entry["revision"], entry["needed"]) == (
        "database_not_migrated",
        schema_revisions()[-1],
        "of tomorrow",
    )
    assert REGISTRY.get_sample_value("weir_prediction_log_database_up") == 0


async def test_schema_of_a_later_version_is_used(log: Any) -> None:
    watch, told = watch_of(log, "0001")
    await watch.look()
    assert told == [True]


async def test_database_that_is_away_is_told_and_its_return_too(
    log: Any, open_log: OpenLog, tmp_path: Path
) -> None:
    away = open_log(f"postgresql://nobody@/weir?host={tmp_path}")
    watch, told = watch_of(away, *schema_revisions())
    with capture_logs() as logs:
        await watch.look()
        await watch.look()
        watch._database = log.database
        await watch.look()
        await watch.look()
    assert told == [False, True]
    assert [entry["event"] for entry in logs] == ["database_away", "database_ready"]


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"weir_prediction_log_{name}", {"stream": STREAM})


async def test_what_waits_is_measured_and_what_was_consumed_is_trimmed(
    redis: Redis, facts: Any
) -> None:
    watch = StreamWatch(redis, [STREAM, "weir:absent"], GROUP)
    consumer = EventConsumer(
        redis, stream=STREAM, group=GROUP, consumer="a", batch_size=150, block=0.01
    )

    async def fail(_: object) -> None:
        raise RuntimeError("not now")

    async def take(_: object) -> None:
        pass

    await consumer.consume_once(take)
    await watch.look()
    assert (gauge("waiting_entries"), gauge("oldest_waiting_seconds")) == (0, 0)

    await EventPublisher(redis).publish(STREAM, [facts.prediction() for _ in range(300)])
    await watch.look()
    assert gauge("waiting_entries") == 300
    measured = gauge("stream_bytes") or 0
    assert measured > 300 * 100
    assert 0 <= (gauge("oldest_waiting_seconds") or -1) < 60

    try:
        await consumer.consume_once(fail)
    except RuntimeError:
        await watch.look()
    # Handed out and not acknowledged is still not written.
    assert gauge("waiting_entries") == 300
    assert await redis.xlen(STREAM) == 300

    again = EventConsumer(redis, stream=STREAM, group=GROUP, consumer="a", block=0.01)
    while await again.consume_once(take):
        pass
    await watch.look()
    assert (gauge("waiting_entries"), gauge("oldest_waiting_seconds")) == (0, 0)
    assert await redis.xlen(STREAM) == 0
    assert 0 < (gauge("stream_bytes") or 0) < measured


async def test_what_waits_is_counted_though_another_group_is_further_behind(
    redis: Redis, facts: Any
) -> None:
    watch = StreamWatch(redis, [STREAM], GROUP)
    await EventPublisher(redis).publish(STREAM, [facts.prediction() for _ in range(30)])
    await redis.xgroup_create(STREAM, "slow", id="0")
    consumer = EventConsumer(
        redis, stream=STREAM, group=GROUP, consumer="a", batch_size=10, block=0.01
    )

    async def take(_: object) -> None:
        pass

    await consumer.consume_once(take)
    await watch.look()
    assert gauge("waiting_entries") == 20
    assert await redis.xlen(STREAM) == 30


async def test_redis_that_is_away_is_told_once_and_its_return_too(redis_server: Store) -> None:
    redis = open_redis(redis_server.url, timeout=0.2)
    watch = StreamWatch(redis, [STREAM], GROUP)
    redis_server.send(signal.SIGSTOP)
    try:
        with capture_logs() as logs:
            await watch.look()
            await watch.look()
            redis_server.send(signal.SIGCONT)
            await watch.look()
            await watch.look()
    finally:
        redis_server.send(signal.SIGCONT)
        await redis.aclose()
    assert [entry["event"] for entry in logs] == [
        "stream_watch_failed",
        "stream_watch_recovered",
    ]


async def test_unmigrated_database_is_told_apart_from_one_that_is_away(
    postgres_server: PostgresStore, log: Any
) -> None:
    await log.execute("ALTER TABLE alembic_version RENAME TO hidden")
    try:
        watch, told = watch_of(log, *schema_revisions())
        with capture_logs() as logs:
            await watch.look()
    finally:
        await log.execute("ALTER TABLE hidden RENAME TO alembic_version")
    assert told == [False]
    assert [entry["event"] for entry in logs] == ["database_not_migrated"]

"""The service as a process, with stores that come and go."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from redis.asyncio import Redis

from servicekit.event_stream import EventPublisher
from testkit.issuer import FakeIssuer
from testkit.stores import PostgresStore, running_postgres
from testkit.waiting import until
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

from .service_process import STREAM, Launch


async def test_unmigrated_database_is_waited_for_without_consuming(
    postgres_server: PostgresStore,
    open_log: Callable[..., Any],
    facts: Any,
    redis: Redis,
    launch: Launch,
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    service = launch(url)
    await until(lambda: service.logged("database_not_migrated") == 1, within=30)
    await EventPublisher(redis).publish(STREAM, [facts.prediction()])
    assert await service.not_serving()
    assert not await redis.xinfo_groups(STREAM)
    migration = launch(url, "migrate")
    assert await asyncio.to_thread(migration.process.wait, 60) == 0
    await until(service.serving, within=30)
    migrated = open_log(url)

    async def written() -> bool:
        return bool(await migrated.count("prediction_logs") == 1)

    await until(written, within=10)
    assert service.logged("database_not_migrated") == 1


def process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in process_tree(int(child)))]


async def test_database_may_stop_freeze_and_come_back(
    tmp_path: Path,
    open_log: Callable[..., Any],
    facts: Any,
    redis: Redis,
    launch: Launch,
    issuer: FakeIssuer,
) -> None:
    (tmp_path / "postgres").mkdir()
    with running_postgres(tmp_path / "postgres") as server:
        url = await asyncio.to_thread(server.create_database)
        migration = launch(url, "migrate")
        assert await asyncio.to_thread(migration.process.wait, 60) == 0
        service = launch(url, WEIR_DATABASE_QUERY_TIMEOUT="1", WEIR_DATABASE_WRITE_TIMEOUT="1")
        await until(service.serving, within=30)
        log = open_log(url)
        publisher = EventPublisher(redis)
        published = 0

        async def publish() -> None:
            nonlocal published
            for _ in range(10):
                await publisher.publish(STREAM, [facts.prediction() for _ in range(10)])
                published += 10

        async def written() -> bool:
            return bool(await log.count("prediction_logs") == published)

        await publish()
        await until(written)

        await asyncio.to_thread(server.stop)
        await publish()
        await until(service.not_serving)
        # It gathers events before it tries; an outage that is over by then is none for it.
        await until(lambda: service.logged("consume_failed") == 1)
        await publish()
        await asyncio.to_thread(server.start_ready)
        await publish()
        await until(written, within=20)
        await until(service.serving)

        # A frozen server takes connections and never answers.
        assert server.pid is not None
        frozen = process_tree(server.pid)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            await publish()
            await until(service.not_serving, within=20)
            async with grpc.aio.insecure_channel(service.address) as channel:
                stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)
                token = issuer.token("predictions:read")
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.ListPredictions(
                        pb.ListPredictionsRequest(),
                        metadata=(("authorization", f"Bearer {token}"),),
                        timeout=8,
                    )
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        await until(written, within=20)
        await until(service.serving)
        assert await log.count("dead_letters") == 0
        assert await asyncio.to_thread(service.stop) == 0
        await log.database.close()
    assert service.logged("database_away") == 2
    # Once for each of the two outages; a third where the way of failing changed.
    assert 2 <= service.logged("consume_failed") <= 3
    assert not any("traceback" in json.dumps(entry).lower() for entry in service.log)


async def test_stopping_while_the_database_is_away_is_clean(tmp_path: Path, launch: Launch) -> None:
    service = launch(f"postgresql://nobody@/weir?host={tmp_path}")
    await until(lambda: service.logged("database_away") == 1, within=30)
    assert await service.not_serving()
    assert await asyncio.to_thread(service.stop) == 0

"""The service as a process of its own."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from prediction_log.key_making import AUDIT_SIGNING_KEY, create_keys
from servicekit.event_stream import EventPublisher
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_interceptors import PUBLIC_SERVICES
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from testkit.otlp import OtlpReceiver, ReceivedSpan
from testkit.waiting import until
from weir.events.v1 import events_pb2
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

from .service_process import STREAM, Launch


async def test_process_writes_what_is_published_answers_and_stops_cleanly(
    log: Any, facts: Any, redis: Redis, launch: Launch, issuer: FakeIssuer
) -> None:
    service = launch(log.url)
    await until(service.serving, within=30)
    fact = facts.prediction()
    await EventPublisher(redis).publish(STREAM, [fact])
    token = issuer.token("predictions:read")
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)
        request = pb.GetPredictionRequest(prediction_id=fact.prediction_id)

        async def found() -> bool:
            try:
                answer = await stub.GetPrediction(
                    request, metadata=(("authorization", f"Bearer {token}"),)
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return False
            return bool(answer.prediction.prediction_id == fact.prediction_id)

        await until(found, within=2)
    assert service.stop() == 0, service.log
    # Whether it made partitions depends on which tests used the database before.
    assert {"database_ready", "stop_requested"} <= {entry["event"] for entry in service.log}
    assert not any(entry["level"] in ("error", "warning") for entry in service.log)
    assert token not in json.dumps(service.log)


async def test_every_method_that_is_exposed_asks_for_a_scope(
    log: Any, launch: Launch, issuer: FakeIssuer
) -> None:
    service = launch(log.url)
    await until(service.serving, within=30)

    def exposed() -> list[str]:
        with grpc.insecure_channel(service.address) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    found = set(await asyncio.to_thread(exposed)) - PUBLIC_SERVICES
    assert found == {
        "weir.predictions.v1.AuditService",
        "weir.predictions.v1.PredictionLogService",
        "weir.predictions.v1.PrivacyService",
    }
    pool = descriptor_pool.Default()
    methods = [method for name in found for method in pool.FindServiceByName(name).methods]
    metadata = (("authorization", f"Bearer {issuer.token('nothing')}"),)
    async with grpc.aio.insecure_channel(service.address) as channel:
        for method in methods:
            path = f"/{method.containing_service.full_name}/{method.name}"
            # Requests are not read before the caller may call, so the shape does not matter.
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(path)(b"", metadata=metadata)
            error = from_rpc_error(caught.value, "prediction_log")
            assert error.code == "SCOPE_MISSING", (path, error.message)


async def test_one_request_is_one_trace(
    log: Any, facts: Any, redis: Redis, launch: Launch, otlp_receiver: OtlpReceiver
) -> None:
    service = launch(log.url, WEIR_OTLP_ENDPOINT=otlp_receiver.endpoint)
    await until(service.serving, within=30)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("publisher")
    with tracer.start_as_current_span("publish") as span:
        await EventPublisher(redis).publish(STREAM, [facts.prediction()])
    context = span.get_span_context()

    def arrived(spans: list[ReceivedSpan]) -> bool:
        return any(each.name == "prediction_log.insert" for each in spans)

    spans = await asyncio.to_thread(otlp_receiver.wait_for, arrived)
    (insert,) = [each for each in spans if each.name == "prediction_log.insert"]
    assert insert.service == "prediction_log"
    assert insert.trace_id == format(context.trace_id, "032x")
    assert insert.parent_id == format(context.span_id, "016x")


async def test_process_that_is_killed_loses_nothing(
    log: Any, facts: Any, redis: Redis, launch: Launch
) -> None:
    publisher = EventPublisher(redis)
    published = 0
    for _ in range(2):
        service = launch(log.url, WEIR_BATCH_SIZE="20")
        await until(service.serving, within=30)
        for _ in range(20):
            await publisher.publish(STREAM, [facts.prediction() for _ in range(25)])
            published += 25
        service.process.kill()
        service.process.wait()
    service = launch(log.url)

    async def written() -> bool:
        return bool(await log.count("prediction_logs") == published)

    await until(written, within=30)
    assert await log.count("dead_letters") == 0


async def test_each_stream_fills_its_table(
    log: Any, facts: Any, redis: Redis, launch: Launch, tmp_path: Path
) -> None:
    create_keys(tmp_path / "keys")
    service = launch(
        log.url,
        WEIR_AUDIT_SIGNING_KEY_FILE=str(tmp_path / "keys" / AUDIT_SIGNING_KEY),
        WEIR_PREDICTIONS_STREAMS='["weir:predictions:0", "weir:predictions:1"]',
    )
    now = Timestamp()
    now.GetCurrentTime()
    prediction = facts.prediction()
    published = {
        "weir:predictions:0": prediction,
        "weir:predictions:1": facts.prediction(),
        "weir:feedback": facts.feedback(prediction, score=1.0),
        "weir:audit": events_pb2.AuditRecorded(
            event_id=str(new_id()),
            occurred_at=now,
            action="token.issue",
            outcome=events_pb2.AUDIT_OUTCOME_ALLOWED,
        ),
        "weir:deployments": events_pb2.ModelDeployed(
            deployment_id=str(new_id()),
            deployed_at=now,
            model="sentiment",
            model_version="1",
            manifest_sha256="0" * 64,
            instance="inference-0",
        ),
        "weir:measurements": events_pb2.DatasetMeasured(
            measurement_id=str(new_id()),
            measured_at=now,
            model="sentiment",
            model_version="1",
            window_start=now,
            window_end=now,
            metrics=[events_pb2.Metric(signal="confidence", statistic="mean", value=0.5)],
        ),
    }
    for stream, fact in published.items():
        await EventPublisher(redis).publish(stream, [fact])
    expected = {
        "prediction_logs": 2,
        "feedback": 1,
        "audit_log": 1,
        "model_deployments": 1,
        "dataset_metrics": 1,
        "dead_letters": 0,
    }

    async def filled() -> bool:
        return {table: await log.count(table) for table in expected} == expected

    await until(filled, within=30)
    # What no checkpoint has signed yet is signed at the end.
    assert await asyncio.to_thread(service.stop) == 0
    assert await log.count("audit_checkpoints") == service.logged("audit_checkpoint") == 1


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"WEIR_DATABASE_URL": "mysql://root:hunter2@db/weir"}, "database_url"),
        ({"WEIR_DATABASE_URL": "hunter2"}, "database_url"),
        ({"WEIR_BATCH_SIZE": "0"}, "batch_size"),
        ({"WEIR_METRICS_ADDRESS": "198.51.100.1:1"}, "cannot_start"),
    ],
)
def test_wrong_setting_ends_the_process_with_one_clear_line(
    launch: Launch, environment: dict[str, str], complaint: str
) -> None:
    service = launch("postgresql://nobody@localhost/weir", **environment)
    assert service.process.wait(30) == 1
    (line,) = service.log
    assert complaint in json.dumps(line)
    assert "hunter2" not in json.dumps(line)

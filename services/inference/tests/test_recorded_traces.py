"""Which trace the record of a prediction belongs to when requests share a call."""

from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from redis.asyncio import Redis

from servicekit.trace_sampling import parse_traceparent
from testkit.issuer import FakeIssuer
from weir.inference.v1 import inference_pb2 as pb

from .conftest import STREAM

OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_record_belongs_to_its_items_trace_and_else_to_the_calls(
    connect: Callable[[str], Any], redis: Redis, issuer: FakeIssuer
) -> None:
    items = [
        pb.PredictItem(text="one"),
        pb.PredictItem(text="two", traceparent=OTHER),
        pb.PredictItem(text="three"),
    ]
    stub = connect(issuer.token("models:predict"))
    await stub.Predict(pb.PredictRequest(model="sentiment", items=items))
    first, second, third = [
        fields[b"traceparent"].decode() for _, fields in await redis.xrange(STREAM)
    ]
    assert second == OTHER
    assert first == third
    assert first
    assert first.split("-")[1] != OTHER.split("-")[1]


async def test_record_of_the_calls_own_trace_comes_after_the_calls_span(
    connect: Callable[[str], Any], redis: Redis, issuer: FakeIssuer
) -> None:
    stub = connect(issuer.token("models:predict"))
    request = pb.PredictRequest(
        model="sentiment", items=[pb.PredictItem(text="one", traceparent=OTHER)]
    )
    caller = parse_traceparent(OTHER)
    assert caller
    with trace.use_span(trace.NonRecordingSpan(caller)):
        await stub.Predict(request)
    ((_, fields),) = await redis.xrange(STREAM)
    _, trace_id, span_id, _ = fields[b"traceparent"].decode().split("-")
    assert trace_id == OTHER.split("-")[1]
    assert span_id != OTHER.split("-")[2]

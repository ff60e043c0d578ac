"""Whatever lies on a stream: it becomes a row or a dead letter, and what follows is read."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from prediction_log.event_decoding import (
    Decode,
    decode_audit,
    decode_deployment,
    decode_feedback,
    decode_measurement,
    decode_prediction,
)
from prediction_log.incident_decoding import decode_incident
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2

from .mutations import Mutations

SEED = 20_261_121
EVENTS = 400
"""Of each kind."""
MOMENT = Timestamp(seconds=1_790_000_000)
KINDS: dict[str, tuple[Decode, str, Message]] = {
    "predictions": (decode_prediction, "prediction_logs", events_pb2.PredictionRecorded()),
    "feedback": (
        decode_feedback,
        "feedback",
        events_pb2.FeedbackRecorded(
            feedback_id=str(new_id()),
            prediction_id=str(new_id()),
            given_at=MOMENT,
            tenant="t",
            client_id="c",
            correct_label="positive",
            score=0.5,
        ),
    ),
    "deployments": (
        decode_deployment,
        "model_deployments",
        events_pb2.ModelDeployed(
            deployment_id=str(new_id()),
            deployed_at=MOMENT,
            model="m",
            model_version="1",
            manifest_sha256="0" * 64,
            instance="i",
            traffic_percent=50,
        ),
    ),
    "measurements": (
        decode_measurement,
        "dataset_metrics",
        events_pb2.DatasetMeasured(
            measurement_id=str(new_id()),
            measured_at=MOMENT,
            window_start=MOMENT,
            window_end=MOMENT,
            model="m",
            model_version="1",
            rows=3,
            metrics=[events_pb2.Metric(signal="s", statistic="mean", value=1.5)],
        ),
    ),
    "audit": (
        decode_audit,
        "audit_log",
        events_pb2.AuditRecorded(
            event_id=str(new_id()),
            occurred_at=MOMENT,
            action="token.issue",
            outcome=events_pb2.AUDIT_OUTCOME_ALLOWED,
        ),
    ),
    "incidents": (
        decode_incident,
        "monitoring_alerts",
        events_pb2.DriftIncidentChanged(
            incident_id=str(new_id()),
            revision=1,
            changed_at=MOMENT,
            opened_at=MOMENT,
            model="m",
            model_version="1",
            signal="s",
            severity="warning",
            state=events_pb2.DRIFT_INCIDENT_STATE_OPEN,
        ),
    ),
}


def bad_events(valid: Message) -> list[dict[str, bytes]]:
    """Entries of a stream, from slightly wrong to nonsense."""
    mutations = Mutations(SEED, [str(new_id()) for _ in range(3)])
    name = valid.DESCRIPTOR.full_name.encode()
    data = valid.SerializeToString()
    entries: list[dict[str, bytes]] = [
        {"type": name},
        {"data": data},
        {"other": b"x"},
        {"type": b"\xff\xfe\0", "data": data},
        {"type": b"x" * 5000, "data": data},
        {"type": name, "data": data, "traceparent": b"\xff" * 100},
        {"type": name, "data": b"\xff" * 2_000_000},
    ]
    for number in range(EVENTS):
        if number % 2:
            content = mutations.broken(data)
        else:
            content = mutations.filled(valid.DESCRIPTOR).SerializeToString()
        entries.append({"type": name, "data": content})
    return entries


@pytest.mark.parametrize("kind", KINDS)
async def test_every_event_becomes_rows_or_a_dead_letter(
    log: Any, facts: Any, redis: Redis, written: Callable[..., Any], kind: str
) -> None:
    decode, table, valid = KINDS[kind]
    if kind == "predictions":
        valid = facts.prediction()
    stream = f"weir:test:{kind}"
    async with redis.pipeline(transaction=False) as pipeline:
        for entry in bad_events(valid):
            pipeline.xadd(stream, entry)
        await pipeline.execute()
    (last,) = facts.events(valid)
    await redis.xadd(stream, {"type": last.type_name, "data": last.data})
    seen = await written(stream, decode)
    assert len(seen) == EVENTS + 8
    assert (await redis.xpending(stream, "prediction_log"))["pending"] == 0
    dead = {row["entry_id"] for row in await log.rows("SELECT entry_id FROM dead_letters")}
    assert len(dead) > EVENTS / 4
    assert seen[-1].entry_id not in dead
    # What did not go aside is there: all of it again changes no table.
    rows = await log.count(table)
    assert rows >= 1
    await log.recorder(decode, stream).record(seen)
    assert await log.count(table) == rows
    assert await log.count("dead_letters") == len(dead)

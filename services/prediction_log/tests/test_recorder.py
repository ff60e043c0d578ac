"""From a batch of events to rows in a real PostgreSQL."""

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from prediction_log.errors import RejectedData
from prediction_log.event_decoding import (
    Decode,
    decode_audit,
    decode_deployment,
    decode_feedback,
    decode_measurement,
    decode_prediction,
)
from prediction_log.record_store import RecordStore, record_writers
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2
from weir.predictions.v1 import keeping_pb2


async def test_prediction_becomes_a_row_with_every_field(log: Any, facts: Any) -> None:
    fact = facts.prediction(
        delegate_id="gateway", shadow=True, keeping=keeping_pb2.Keeping(retention_class="short")
    )
    await log.recorder().record(facts.events(fact))
    (row,) = await log.rows("SELECT * FROM prediction_logs")
    assert str(row.pop("id")) == fact.prediction_id
    assert row.pop("recorded_at") is not None
    assert row == {
        "predicted_at": fact.predicted_at.ToDatetime(UTC),
        "tenant": "tenant-1",
        "client_id": "client-1",
        "delegate_id": "gateway",
        "request_id": "request-1",
        "model": "sentiment",
        "model_version": "1",
        "input_sha256": bytes(32),
        "input_characters": 40,
        "input_tokens": 12,
        "input_unknown_tokens": 1,
        "input_special_tokens": 2,
        "label": "positive",
        "confidence": 0.75,
        "probabilities": {"positive": 0.75, "negative": 0.25},
        "inference_ms": 3.5,
        "shadow": True,
        "retention_class": "short",
        "input_keeping": "nothing",
        "input_unopened": False,
        "subject_digest": None,
        "input_text": None,
        "input_ciphertext": None,
        "input_key_id": None,
        "erased_at": None,
    }


async def test_replayed_batch_adds_nothing(log: Any, facts: Any) -> None:
    events = facts.events(*(facts.prediction() for _ in range(5)))
    for batch in (events, events, events + events):
        await log.recorder().record(batch)
    assert await log.count("prediction_logs") == 5
    assert await log.count("dead_letters") == 0


BAD_PREDICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"prediction_id": "none"}, "prediction_id is no UUIDv7"),
    ({"prediction_id": str(uuid4())}, "prediction_id is no UUIDv7"),
    ({"prediction_id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}, "prediction_id is no UUIDv7"),
    ({"predicted_at": Timestamp()}, "predicted_at is missing"),
    ({"predicted_at": Timestamp(seconds=2**62)}, "predicted_at is out of range"),
    ({"predicted_at": Timestamp(seconds=1)}, "predicted_at is not the time in prediction_id"),
    ({"tenant": ""}, "tenant is empty"),
    ({"tenant": "t" * 129}, "tenant is longer than 128 characters"),
    ({"client_id": "a\0b"}, "client_id holds a NUL character"),
    ({"delegate_id": "d" * 129}, "delegate_id is longer than 128 characters"),
    ({"label": "neutral"}, "label has no probability"),
    ({"probabilities": {"positive": 1.0, "a\0": 0.0}}, "probabilities holds a NUL character"),
    ({"probabilities": {"positive": math.nan}}, "probabilities is not between 0 and 1"),
    (
        {"probabilities": {str(n): 0.0 for n in range(1001)}},
        "there are more than 1000 probabilities",
    ),
    ({"confidence": 1.5, "probabilities": {"positive": 1.0}}, "confidence is not between 0 and 1"),
    ({"inference_ms": -1.0}, "inference_ms is no duration"),
    ({"inference_ms": math.inf}, "inference_ms is no duration"),
    ({"input": events_pb2.InputFacts(sha256=b"short")}, "input.sha256 is not 32 bytes long"),
    (
        {"input": events_pb2.InputFacts(sha256=bytes(32), tokens=2**31)},
        "input.tokens is out of range",
    ),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_PREDICTIONS)
async def test_poison_goes_aside_and_the_others_are_written(
    log: Any, facts: Any, changes: dict[str, Any], reason: str
) -> None:
    events = facts.events(facts.prediction(), facts.prediction(**changes), facts.prediction())
    await log.recorder().record(events)
    assert await log.count("prediction_logs") == 2
    (letter,) = await log.rows("SELECT stream, entry_id, type_name, data, reason FROM dead_letters")
    assert letter == {
        "stream": "weir:predictions:0",
        "entry_id": events[1].entry_id,
        "type_name": "weir.events.v1.PredictionRecorded",
        "data": events[1].data,
        "reason": reason,
    }


async def test_bytes_of_another_type_or_none_at_all_go_aside(log: Any, facts: Any) -> None:
    fact = facts.prediction()
    good, garbage, foreign, unnamed = facts.events(fact, fact, fact, fact)
    await log.recorder().record(
        [
            good,
            replace(garbage, data=b"\xff\xff\xff"),
            replace(foreign, type_name="weir.events.v1.AuditRecorded"),
            replace(unnamed, type_name="x\0" * 300, data=b""),
        ]
    )
    assert await log.count("prediction_logs") == 1
    reasons = [row["reason"] for row in await log.rows("SELECT reason FROM dead_letters")]
    assert sorted(reasons) == [
        "the bytes are no weir.events.v1.PredictionRecorded",
        "the type is not weir.events.v1.PredictionRecorded",
        "the type is not weir.events.v1.PredictionRecorded",
    ]


async def test_replayed_poison_is_one_dead_letter(log: Any, facts: Any) -> None:
    events = facts.events(facts.prediction(tenant=""))
    await log.recorder().record(events)
    await log.recorder().record(events)
    assert await log.count("dead_letters") == 1


async def test_huge_poison_is_kept_in_part(log: Any, facts: Any) -> None:
    (event,) = facts.events(facts.prediction())
    await log.recorder().record([replace(event, data=b"\xff" * 3_000_000)])
    (letter,) = await log.rows("SELECT length(data) AS size, reason FROM dead_letters")
    assert letter["size"] == 1024 * 1024
    assert letter["reason"].endswith("kept 1048576 of 3000000 bytes")


async def test_longest_values_fit_their_columns(log: Any, facts: Any) -> None:
    name, label = "ü" * 128, "ß" * 256
    fact = facts.prediction(
        tenant=name,
        client_id=name,
        delegate_id=name,
        request_id=name,
        model=name,
        model_version=name,
        label=label,
        probabilities={label: 1.0 + 1e-9},
    )
    await log.recorder().record(facts.events(fact))
    opinion = facts.feedback(fact, correct_label=label, comment="𝄞" * 2000, score=1.0)
    await log.recorder(decode_feedback).record(facts.events(opinion))
    assert await log.count("prediction_logs") == await log.count("feedback") == 1
    assert await log.count("dead_letters") == 0


async def test_what_only_the_database_refuses_is_found_by_halving(log: Any, facts: Any) -> None:
    await log.execute(
        "ALTER TABLE prediction_logs ADD CONSTRAINT test_only CHECK (model <> 'cursed')"
    )
    try:
        batch = [facts.prediction() for _ in range(40)]
        for position in (3, 17, 39):
            batch[position] = facts.prediction(model="cursed")
        events = facts.events(*batch)
        await log.recorder().record(events)
    finally:
        await log.execute("ALTER TABLE prediction_logs DROP CONSTRAINT test_only")
    assert await log.count("prediction_logs") == 37
    letters = await log.rows("SELECT entry_id, reason FROM dead_letters")
    assert {row["entry_id"] for row in letters} == {events[n].entry_id for n in (3, 17, 39)}
    assert {row["reason"] for row in letters} == {"PostgreSQL refuses the values (23514)"}


async def test_value_that_does_not_fit_its_column_is_refused_by_the_store(
    log: Any, facts: Any
) -> None:
    (record,) = decode_prediction(*facts.events(facts.prediction()))
    store = RecordStore(log.database, record_writers())
    for wrong in (
        replace(record, input_tokens=2**40),
        replace(record, tenant="a\0b"),
        replace(record, label="x" * 300),
        replace(record, confidence="high"),
    ):
        with pytest.raises(RejectedData):
            await store.insert([record, wrong])
    assert await log.count("prediction_logs") == 0
    assert await store.insert([record]) == 1


async def test_every_other_fact_becomes_rows_and_only_once(log: Any, facts: Any) -> None:
    now = Timestamp()
    now.FromDatetime(datetime.now(UTC))
    deployed = events_pb2.ModelDeployed(
        deployment_id=str(new_id()),
        deployed_at=now,
        model="sentiment",
        model_version="2",
        manifest_sha256="0" * 64,
        instance="inference-0",
        traffic_percent=100,
    )
    measured = events_pb2.DatasetMeasured(
        measurement_id=str(new_id()),
        measured_at=now,
        model="sentiment",
        model_version="2",
        window_start=now,
        window_end=now,
        rows=1000,
        metrics=[
            events_pb2.Metric(signal="input_tokens", statistic="ks_distance", value=0.25),
            events_pb2.Metric(signal="input_tokens", statistic="mean", value=math.inf),
        ],
    )
    refused = events_pb2.AuditRecorded(
        event_id=str(new_id()),
        occurred_at=now,
        action="token.issue",
        outcome=events_pb2.AUDIT_OUTCOME_REFUSED,
        client_id="client-1",
        reason="SECRET_WRONG",
    )
    for decode, fact in (
        (decode_deployment, deployed),
        (decode_measurement, measured),
        (decode_audit, refused),
    ):
        for _ in range(2):
            await log.recorder(decode).record(facts.events(fact))
    (deployment,) = await log.rows("SELECT model_version, traffic_percent FROM model_deployments")
    assert deployment == {"model_version": "2", "traffic_percent": 100}
    metrics = await log.rows("SELECT statistic, value, rows FROM dataset_metrics ORDER BY 1")
    assert metrics == [
        {"statistic": "ks_distance", "value": 0.25, "rows": 1000},
        {"statistic": "mean", "value": math.inf, "rows": 1000},
    ]
    (entry,) = await log.rows("SELECT action, outcome, client_id, tenant, reason FROM audit_log")
    assert entry == {
        "action": "token.issue",
        "outcome": "refused",
        "client_id": "client-1",
        "tenant": None,
        "reason": "SECRET_WRONG",
    }
    assert await log.count("dead_letters") == 0


async def test_measurement_without_metrics_is_no_row_and_no_poison(log: Any, facts: Any) -> None:
    now = Timestamp(seconds=1)
    fact = events_pb2.DatasetMeasured(
        measurement_id=str(new_id()),
        measured_at=now,
        model="m",
        model_version="1",
        window_start=now,
        window_end=now,
    )
    await log.recorder(decode_measurement).record(facts.events(fact))
    assert await log.count("dataset_metrics") == await log.count("dead_letters") == 0


@pytest.mark.parametrize(
    ("decode", "fact"),
    [
        (decode_audit, events_pb2.AuditRecorded(event_id=str(new_id()))),
        (decode_deployment, events_pb2.ModelDeployed(traffic_percent=101)),
        (decode_feedback, events_pb2.FeedbackRecorded(feedback_id=str(new_id()))),
        (decode_measurement, events_pb2.DatasetMeasured()),
    ],
)
async def test_incomplete_fact_of_any_kind_goes_aside(
    log: Any, facts: Any, decode: Decode, fact: Message
) -> None:
    await log.recorder(decode).record(facts.events(fact))
    assert await log.count("dead_letters") == 1


async def test_metrics_tell_written_duplicate_and_dead(log: Any, facts: Any) -> None:
    events = facts.events(facts.prediction(), facts.prediction(), facts.prediction(label="?"))

    def sample(name: str, **labels: str) -> float:
        labels["stream"] = "test:metrics"
        return REGISTRY.get_sample_value(f"weir_prediction_log_{name}", labels) or 0

    for _ in range(2):
        await log.recorder(stream="test:metrics").record(events)
    assert sample("rows_total", outcome="written") == 2
    assert sample("rows_total", outcome="duplicate") == 2
    assert sample("dead_letters_total") == 2
    assert sample("batch_entries_sum") == 6
    assert sample("newest_written_timestamp_seconds") == 1_700_000_000


async def test_insert_is_a_span_in_the_trace_of_its_request(log: Any, facts: Any) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_id, parent_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    (sampled,) = facts.events(facts.prediction(), traceparent=f"00-{trace_id}-{parent_id}-01")
    (unsampled,) = facts.events(facts.prediction(), traceparent=f"00-{trace_id}-{parent_id}-00")
    (malformed,) = facts.events(facts.prediction(), traceparent="nonsense")
    (without,) = facts.events(facts.prediction())
    began = time.time_ns()
    await log.recorder(tracer_provider=provider).record([sampled, unsampled, malformed, without])
    (span,) = exporter.get_finished_spans()
    assert span.name == "prediction_log.insert"
    assert format(span.context.trace_id, "032x") == trace_id
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == parent_id
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 4
    assert span.start_time is not None
    assert span.end_time is not None
    assert began <= span.start_time < span.end_time <= time.time_ns()

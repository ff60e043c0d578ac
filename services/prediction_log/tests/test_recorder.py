"""From a batch of events to rows in a real PostgreSQL."""

from typing import Any

from servicekit.identifiers import new_id, time_of


async def test_prediction_becomes_a_row_with_every_field(log: Any, facts: Any) -> None:
    fact = facts.prediction(delegate_id="gateway")
    await log.recorder().record(facts.events(fact))
    (row,) = await log.rows("SELECT * FROM prediction_logs")
    assert str(row.pop("id")) == fact.prediction_id
    assert row.pop("recorded_at") is not None
    assert row == {
        "predicted_at": fact.predicted_at.ToDatetime(time_of(new_id()).tzinfo),
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
    }


async def test_replayed_batch_adds_nothing(log: Any, facts: Any) -> None:
    events = facts.events(*(facts.prediction() for _ in range(5)))
    for batch in (events, events, events + events):
        await log.recorder().record(batch)
    assert await log.count("prediction_logs") == 5
    assert await log.count("dead_letters") == 0

"""GetStats, on what a real PostgreSQL holds."""

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from prediction_log.event_decoding import decode_feedback
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]


async def test_stats_are_those_of_what_was_recorded(log: Any, facts: Any, call: Call) -> None:
    confidences = [0.5 + number / 100 for number in range(40)]
    batch = [
        facts.prediction(
            confidence=confidence,
            label="positive" if number % 4 else "negative",
            inference_ms=float((number * 7) % 40),
        )
        for number, confidence in enumerate(confidences)
    ]
    await log.recorder().record(facts.events(*batch, facts.prediction(tenant="tenant-2")))
    opinions = [
        facts.feedback(batch[1], correct_label="negative"),
        facts.feedback(batch[1], correct_label="positive"),  # the later one counts
        facts.feedback(batch[2], correct_label="negative"),
        facts.feedback(batch[4], correct_label="negative"),
        facts.feedback(batch[4], score=0.1),  # says nothing about the label
        facts.feedback(batch[5], comment="Hm."),
    ]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    stats = await call(pb.GetStatsRequest())
    milliseconds = statistics.quantiles(range(40), n=100, method="inclusive")
    assert stats.predictions == 40
    assert dict(stats.labels) == {"positive": 30, "negative": 10}
    assert stats.mean_confidence == pytest.approx(statistics.fmean(confidences))
    assert stats.inference_ms_p50 == pytest.approx(milliseconds[49])
    assert stats.inference_ms_p95 == pytest.approx(milliseconds[94])
    assert stats.inference_ms_p99 == pytest.approx(milliseconds[98])
    assert stats.labelled == 3
    assert stats.accuracy == pytest.approx(2 / 3)
    negative = await call(pb.GetStatsRequest(filter=pb.PredictionFilter(label="negative")))
    assert (negative.predictions, negative.labelled, negative.accuracy) == (10, 1, 1.0)


async def test_stats_of_nothing_leave_out_what_cannot_be_told(call: Call) -> None:
    assert await call(pb.GetStatsRequest()) == pb.GetStatsResponse()


async def test_what_callers_never_saw_is_counted_only_where_it_is_asked_for(
    log: Any, facts: Any, call: Call
) -> None:
    made = [facts.prediction(shadow=number < 3) for number in range(10)]
    await log.recorder().record(facts.events(*made))
    assert (await call(pb.GetStatsRequest())).predictions == 7
    shadow = pb.PredictionFilter(shadow=True)
    assert (await call(pb.GetStatsRequest(filter=shadow))).predictions == 3


async def test_predictions_without_a_label_are_kept_and_count_for_no_label(
    log: Any, facts: Any, call: Call
) -> None:
    made = [facts.prediction() for _ in range(2)]
    del made[0].probabilities["positive"], made[0].probabilities["negative"]
    made[0].label, made[0].confidence = "", 0.0
    await log.recorder().record(facts.events(*made))
    found = await call(pb.GetPredictionRequest(prediction_id=made[0].prediction_id))
    assert (found.prediction.label, dict(found.prediction.probabilities)) == ("", {})
    stats = await call(pb.GetStatsRequest())
    assert (stats.predictions, dict(stats.labels)) == (2, {made[1].label: 1})

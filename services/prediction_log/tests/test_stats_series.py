"""GetStatsSeries, and GetStats from rollups, against what was recorded."""

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log import prediction_stats, stats_series
from prediction_log.event_decoding import decode_feedback
from prediction_log.histograms import CONFIDENCE_ERROR, LATENCY_ERROR
from servicekit.errors import InvalidInput, Unavailable
from servicekit.identifiers import new_id_at
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]
NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)


def stamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def made_at(facts: Any, moment: datetime, **changes: Any) -> Any:
    return facts.prediction(id=new_id_at(int(moment.timestamp() * 1000)), **changes)


@pytest.fixture(autouse=True)
async def counted(log: Any) -> None:
    """There is nothing in the log that is older than its rollups, as a migration leaves it."""
    await log.execute("INSERT INTO prediction_rollup_backfill VALUES (now())")


@pytest.fixture
async def recorded(log: Any, facts: Any) -> list[Any]:
    """One every 20 minutes over two days and a half, of two models and two versions; shadows."""
    batch = [
        made_at(
            facts,
            NOON + timedelta(minutes=20 * n),
            model="topic" if n % 5 == 0 else "sentiment",
            model_version=str(1 + n % 2),
            label="positive" if n % 3 else "negative",
            confidence=0.5 + n / 400,
            inference_ms=1.0 + n,
            shadow=n % 7 == 0,
        )
        for n in range(180)
    ]
    await log.recorder().record(facts.events(*batch))
    opinions = [facts.feedback(fact, correct_label="positive") for fact in batch[::4]]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    return batch


def moment_of(fact: Any) -> datetime:
    moment: datetime = fact.predicted_at.ToDatetime(UTC)
    return moment


async def test_days_hold_what_callers_saw(recorded: list[Any], call: Call) -> None:
    series = await call(pb.GetStatsSeriesRequest())
    assert series.bucket == pb.STATS_BUCKET_DAY
    starts = [bucket.start.ToDatetime(UTC) for bucket in series.buckets]
    assert starts == [NOON.replace(hour=0) + timedelta(days=day) for day in range(3)]
    for start, bucket in zip(starts, series.buckets, strict=True):
        seen = [
            fact
            for fact in recorded
            if not fact.shadow and start <= moment_of(fact) < start + timedelta(days=1)
        ]
        judged = [fact for fact in seen if fact in recorded[::4]]
        assert (bucket.model, bucket.model_version) == ("", "")
        assert bucket.predictions == len(seen)
        assert dict(bucket.labels) == {
            label: sum(fact.label == label for fact in seen) for label in ("positive", "negative")
        }
        assert bucket.mean_confidence == pytest.approx(
            statistics.fmean(fact.confidence for fact in seen)
        )
        ordered = sorted(fact.confidence for fact in seen)
        middle = ordered[(len(ordered) + 1) // 2 - 1]
        assert bucket.confidence_p50 == pytest.approx(middle, abs=CONFIDENCE_ERROR + 1e-9)
        assert bucket.confidence_p05 <= bucket.confidence_p50
        slow = sorted(fact.inference_ms for fact in seen)
        assert bucket.inference_ms_p50 == pytest.approx(
            slow[(len(slow) + 1) // 2 - 1], rel=LATENCY_ERROR + 1e-9
        )
        assert bucket.inference_ms_p50 <= bucket.inference_ms_p95 <= bucket.inference_ms_p99
        assert bucket.labelled == len(judged)
        assert bucket.correct == sum(fact.label == "positive" for fact in judged)
        assert bucket.accuracy == pytest.approx(bucket.correct / bucket.labelled)


async def test_hours_are_cut_outwards(recorded: list[Any], call: Call) -> None:
    series = await call(
        pb.GetStatsSeriesRequest(
            predicted_from=stamp(NOON + timedelta(minutes=90)),
            predicted_before=stamp(NOON + timedelta(minutes=130)),
            shadow=False,
        )
    )
    assert series.bucket == pb.STATS_BUCKET_HOUR
    assert [bucket.start.ToDatetime(UTC) for bucket in series.buckets] == [
        NOON + timedelta(hours=1),
        NOON + timedelta(hours=2),
    ]


async def test_versions_are_lines_of_their_own(recorded: list[Any], call: Call) -> None:
    request = pb.GetStatsSeriesRequest(
        model="sentiment", by_version=True, shadow=True, bucket=pb.STATS_BUCKET_DAY
    )
    series = await call(request)
    lines = [
        (bucket.start.ToDatetime(UTC).day, bucket.model, bucket.model_version)
        for bucket in series.buckets
    ]
    assert lines == [(day, "sentiment", v) for day in (15, 16, 17) for v in ("1", "2")]
    shadows = [fact for fact in recorded if fact.shadow and fact.model == "sentiment"]
    assert sum(bucket.predictions for bucket in series.buckets) == len(shadows)
    first = await call(pb.GetStatsSeriesRequest(model="sentiment", model_version="1"))
    assert {(bucket.model, bucket.model_version) for bucket in first.buckets} == {
        ("sentiment", "1")
    }


async def test_other_tenants_are_not_counted(log: Any, facts: Any, call: Call) -> None:
    await log.recorder().record(facts.events(facts.prediction(tenant="tenant-2")))
    assert not (await call(pb.GetStatsSeriesRequest())).buckets


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "x" * 129}, "model"),
        ({"model_version": "\0"}, "model_version"),
        ({"bucket": 9}, "bucket"),
        ({"predicted_from": Timestamp(seconds=2**62)}, "predicted_from"),
        ({"predicted_before": Timestamp(seconds=-1)}, "predicted_before"),
        (
            {"predicted_from": stamp(NOON), "predicted_before": stamp(NOON)},
            "predicted_from",
        ),
        (
            {"predicted_from": stamp(NOON - timedelta(days=60)), "bucket": pb.STATS_BUCKET_HOUR},
            "predicted_from",
        ),
        ({"predicted_from": Timestamp()}, "predicted_from"),
    ],
)
async def test_series_that_cannot_be_names_the_field(
    call: Call, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(pb.GetStatsSeriesRequest(**fields))
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_too_many_lines_are_refused(
    recorded: list[Any], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_series, "_MOST_ROWS", 5)
    with pytest.raises(InvalidInput, match="no series"):
        await call(pb.GetStatsSeriesRequest(by_version=True))


async def test_series_waits_until_everything_is_counted(log: Any, call: Call) -> None:
    await log.execute("DELETE FROM prediction_rollup_backfill")
    with pytest.raises(Unavailable) as caught:
        await call(pb.GetStatsSeriesRequest())
    assert caught.value.code == "STATS_NOT_READY"
    assert await call(pb.GetStatsRequest()) == pb.GetStatsResponse()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (NOON + timedelta(minutes=30), None),
        (None, NOON + timedelta(hours=30, minutes=10)),
        (NOON + timedelta(minutes=10), NOON + timedelta(hours=50, minutes=50)),
        (NOON, NOON + timedelta(hours=12)),
        (NOON + timedelta(minutes=70), NOON + timedelta(minutes=80)),
        (NOON - timedelta(days=9), NOON - timedelta(days=1)),
    ],
)
async def test_stats_from_rollups_are_those_of_the_rows(
    recorded: list[Any],
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    start: datetime | None,
    end: datetime | None,
) -> None:
    for fields in ({}, {"model": "sentiment", "model_version": "2", "shadow": False}):
        matching = pb.PredictionFilter(
            predicted_from=stamp(start) if start else None,
            predicted_before=stamp(end) if end else None,
            **fields,
        )
        exact = await call(pb.GetStatsRequest(filter=matching))
        with monkeypatch.context() as patch:
            patch.setattr(prediction_stats, "_FEW", 0)
            counted = await call(pb.GetStatsRequest(filter=matching))
        assert counted.predictions == exact.predictions
        assert counted.labels == exact.labels
        assert (counted.labelled, counted.accuracy) == (exact.labelled, exact.accuracy)
        assert counted.mean_confidence == pytest.approx(exact.mean_confidence)
        for name in ("inference_ms_p50", "inference_ms_p95", "inference_ms_p99"):
            # One lies between two values of the sample, the other takes the lower one.
            assert getattr(counted, name) == pytest.approx(getattr(exact, name), rel=0.1)

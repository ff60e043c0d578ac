"""GET /v1/stats and /v1/stats/series."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import FieldViolation, InvalidInput
from weir.predictions.v1 import predictions_pb2

from .backends import PREDICTED_AT, Backends
from .conftest import Call
from .test_predict import wrong_field


async def test_stats_without_predictions_hold_nulls(get: Call, backends: Backends) -> None:
    stats = (await get("/v1/stats", model="sentiment")).json()
    assert (stats["predictions"], stats["mean_confidence"]) == (0, None)
    (request,) = backends.log.calls.requests
    assert (request.tenant, request.filter.model) == ("tenant-1", "sentiment")


async def test_stats_are_numbers(get: Call, backends: Backends) -> None:
    backends.log.stats = predictions_pb2.GetStatsResponse(
        predictions=3, labels={"positive": 3}, mean_confidence=0.5, inference_ms_p95=4.0
    )
    stats = (await get("/v1/stats")).json()
    assert stats["predictions"] == 3
    assert stats["labels"] == {"positive": 3}
    assert (stats["mean_confidence"], stats["inference_ms_p95"]) == (0.5, 4.0)


async def test_series_is_asked_for_with_the_tokens_tenant(get: Call, backends: Backends) -> None:
    await get(
        "/v1/stats/series",
        bucket="hour",
        model="sentiment",
        version="2",
        shadow="true",
        by_version="true",
        tenant="tenant-2",
        **{"from": "2026-09-21T14:13:20Z", "before": "2026-09-21T14:13:21Z"},
    )
    (request,) = backends.log.calls.requests
    assert request == predictions_pb2.GetStatsSeriesRequest(
        tenant="tenant-1",
        model="sentiment",
        model_version="2",
        shadow=True,
        predicted_from=PREDICTED_AT,
        predicted_before=Timestamp(seconds=PREDICTED_AT.seconds + 1),
        bucket=predictions_pb2.STATS_BUCKET_HOUR,
        by_version=True,
    )


async def test_series_leaves_what_is_not_stated_to_the_log(get: Call, backends: Backends) -> None:
    assert (await get("/v1/stats/series")).json() == {"bucket": "day", "buckets": []}
    (request,) = backends.log.calls.requests
    assert request == predictions_pb2.GetStatsSeriesRequest(tenant="tenant-1", shadow=False)


async def test_series_is_plain_json(get: Call, backends: Backends) -> None:
    backends.log.series = predictions_pb2.GetStatsSeriesResponse(
        bucket=predictions_pb2.STATS_BUCKET_HOUR,
        buckets=[
            predictions_pb2.BucketStats(
                start=PREDICTED_AT,
                predictions=3,
                labels={"positive": 3},
                mean_confidence=0.5,
                confidence_p05=0.255,
                inference_ms_p95=4.0,
                labelled=2,
                correct=1,
                accuracy=0.5,
            ),
            predictions_pb2.BucketStats(start=PREDICTED_AT, model="m", model_version="1"),
        ],
    )
    series = (await get("/v1/stats/series")).json()
    assert series["bucket"] == "hour"
    first, second = series["buckets"]
    assert first == {
        "start": "2026-09-21T14:13:20Z",
        "model": None,
        "model_version": None,
        "predictions": 3,
        "labels": {"positive": 3},
        "mean_confidence": 0.5,
        "confidence_p05": 0.255,
        "confidence_p50": None,
        "inference_ms_p50": None,
        "inference_ms_p95": 4.0,
        "inference_ms_p99": None,
        "labelled": 2,
        "correct": 1,
        "accuracy": 0.5,
    }
    assert (second["model"], second["model_version"]) == ("m", "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("bucket", "week"), ("from", "yesterday"), ("by_version", "perhaps"), ("model", "\x00")],
)
async def test_bad_series_is_named(get: Call, name: str, value: str) -> None:
    wrong_field(await get("/v1/stats/series", **{name: value}), name)


async def test_range_that_the_log_refuses_has_the_querys_name(
    get: Call, backends: Backends
) -> None:
    backends.log.calls.failure = InvalidInput(
        "No.", violations=[FieldViolation("predicted_from", "is too early")]
    )
    wrong_field(await get("/v1/stats/series"), "from")

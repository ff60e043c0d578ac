"""Questions for statistics into the log's own words, and the numbers back."""

from collections.abc import Mapping

from prediction_log.converters import invalid, text_from
from prediction_log.domain import PredictionFilter, PredictionStats
from prediction_log.filter_conversion import moment_from
from prediction_log.rollup_queries import Line
from prediction_log.rollup_spans import Granularity
from prediction_log.stats_series import Series
from prediction_log.tally import Tally
from servicekit.timestamps import to_timestamp
from weir.predictions.v1 import predictions_pb2

_GRANULARITIES = {
    predictions_pb2.STATS_BUCKET_UNSPECIFIED: None,
    predictions_pb2.STATS_BUCKET_HOUR: Granularity.HOUR,
    predictions_pb2.STATS_BUCKET_DAY: Granularity.DAY,
}
_BUCKETS = {
    Granularity.HOUR: predictions_pb2.STATS_BUCKET_HOUR,
    Granularity.DAY: predictions_pb2.STATS_BUCKET_DAY,
}


def to_stats(stats: PredictionStats) -> predictions_pb2.GetStatsResponse:
    """Statistics as the contract has them."""
    return predictions_pb2.GetStatsResponse(
        predictions=stats.predictions,
        labels=_named(stats.labels),
        mean_confidence=stats.mean_confidence,
        inference_ms_p50=stats.inference_ms_p50,
        inference_ms_p95=stats.inference_ms_p95,
        inference_ms_p99=stats.inference_ms_p99,
        labelled=stats.labelled,
        accuracy=stats.accuracy,
    )


def series_filter_from(request: predictions_pb2.GetStatsSeriesRequest) -> PredictionFilter:
    """What a series is about.

    Raises:
        InvalidRequest: a field cannot be taken.
    """
    return PredictionFilter(
        model=text_from("model", request.model),
        model_version=text_from("model_version", request.model_version),
        # What callers never saw is counted only where it is asked for.
        shadow=request.shadow,
        predicted_from=moment_from(request, "predicted_from"),
        predicted_before=moment_from(request, "predicted_before"),
    )


def granularity_from(bucket: predictions_pb2.StatsBucket) -> Granularity | None:
    """None leaves the choice to the service.

    Raises:
        InvalidRequest: it is none that this version knows.
    """
    if bucket not in _GRANULARITIES:
        raise invalid("bucket", "is not known")
    return _GRANULARITIES[bucket]


def to_series(series: Series) -> predictions_pb2.GetStatsSeriesResponse:
    """A series as the contract has it."""
    return predictions_pb2.GetStatsSeriesResponse(
        bucket=_BUCKETS[series.granularity],
        buckets=[_to_bucket(line, tally) for line, tally in series.lines.items()],
    )


def _to_bucket(line: Line, tally: Tally) -> predictions_pb2.BucketStats:
    stats = tally.stats()
    return predictions_pb2.BucketStats(
        start=to_timestamp(line.start),
        model=line.model,
        model_version=line.model_version,
        predictions=stats.predictions,
        labels=_named(stats.labels),
        mean_confidence=stats.mean_confidence,
        confidence_p05=tally.confidence(0.05),
        confidence_p50=tally.confidence(0.5),
        inference_ms_p50=stats.inference_ms_p50,
        inference_ms_p95=stats.inference_ms_p95,
        inference_ms_p99=stats.inference_ms_p99,
        labelled=stats.labelled,
        correct=stats.correct,
        accuracy=stats.accuracy,
    )


def _named(labels: Mapping[str, int]) -> dict[str, int]:
    """Without what models that do not classify have answered."""
    return {label: predictions for label, predictions in labels.items() if label}

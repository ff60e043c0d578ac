"""The log's statistics, as the gateway sees them."""

from datetime import UTC

import grpc

from gateway.prediction_log_client import PredictionQuery, filter_of, timestamp_of
from gateway.stats_answers import PredictionStats, StatsBucket, StatsSeries
from gateway.upstream import answer_of, optional_field
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

_SERVICE = "prediction_log"
_BUCKETS = {
    "": pb.STATS_BUCKET_UNSPECIFIED,
    "hour": pb.STATS_BUCKET_HOUR,
    "day": pb.STATS_BUCKET_DAY,
}


class StatsClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: predictions_pb2_grpc.PredictionLogServiceAsyncStub = (
            predictions_pb2_grpc.PredictionLogServiceStub(channel)
        )

    async def overall(self, tenant: str, query: PredictionQuery) -> PredictionStats:
        """Counts and quantiles of the predictions that match.

        Raises:
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetStatsRequest(tenant=tenant, filter=filter_of(query))
        answer = await answer_of(_SERVICE, self._stub.GetStats(request))
        return PredictionStats(
            predictions=answer.predictions,
            labels=dict(answer.labels),
            mean_confidence=optional_field(answer, "mean_confidence"),
            inference_ms_p50=optional_field(answer, "inference_ms_p50"),
            inference_ms_p95=optional_field(answer, "inference_ms_p95"),
            inference_ms_p99=optional_field(answer, "inference_ms_p99"),
            labelled=answer.labelled,
            accuracy=optional_field(answer, "accuracy"),
        )

    async def series(
        self, tenant: str, query: PredictionQuery, *, bucket: str, by_version: bool
    ) -> StatsSeries:
        """The same by hour or day.

        Args:
            query: its model, version, shadow and time count.
            bucket: `hour`, `day`, or empty to leave the choice to the log.

        Raises:
            InvalidInput: the range is empty or too long.
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetStatsSeriesRequest(
            tenant=tenant,
            model=query.model,
            model_version=query.model_version,
            shadow=query.shadow,
            predicted_from=timestamp_of(query.predicted_from),
            predicted_before=timestamp_of(query.predicted_before),
            bucket=_BUCKETS[bucket],
            by_version=by_version,
        )
        answer = await answer_of(_SERVICE, self._stub.GetStatsSeries(request))
        return StatsSeries(
            bucket="hour" if answer.bucket == pb.STATS_BUCKET_HOUR else "day",
            buckets=[_bucket(each) for each in answer.buckets],
        )


def _bucket(message: pb.BucketStats) -> StatsBucket:
    return StatsBucket(
        start=message.start.ToDatetime(UTC),
        model=message.model or None,
        model_version=message.model_version or None,
        predictions=message.predictions,
        labels=dict(message.labels),
        mean_confidence=optional_field(message, "mean_confidence"),
        confidence_p05=optional_field(message, "confidence_p05"),
        confidence_p50=optional_field(message, "confidence_p50"),
        inference_ms_p50=optional_field(message, "inference_ms_p50"),
        inference_ms_p95=optional_field(message, "inference_ms_p95"),
        inference_ms_p99=optional_field(message, "inference_ms_p99"),
        labelled=message.labelled,
        correct=message.correct,
        accuracy=optional_field(message, "accuracy"),
    )

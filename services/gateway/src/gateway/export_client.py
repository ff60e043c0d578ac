"""The log's export, as the gateway sees it."""

from collections.abc import AsyncGenerator

import grpc

from gateway.prediction_log_client import PredictionQuery, filter_of
from gateway.upstream import upstream_errors
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

_SERVICE = "prediction_log"
_FORMATS = {
    "csv": pb.EXPORT_FORMAT_CSV,
    "jsonl": pb.EXPORT_FORMAT_JSON_LINES,
    "parquet": pb.EXPORT_FORMAT_PARQUET,
}


class ExportClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant.

    Args:
        timeout: longest that an export may take, seconds.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout: float) -> None:
        self._stub: predictions_pb2_grpc.PredictionLogServiceAsyncStub = (
            predictions_pb2_grpc.PredictionLogServiceStub(channel)
        )
        self._timeout = timeout

    async def pieces(
        self, tenant: str, query: PredictionQuery, file_format: str, *, after: str
    ) -> AsyncGenerator[bytes, None]:
        """The file; it is complete when the iterator ends without an error.

        A piece may be empty: the log is at work and has found nothing yet. To close the iterator
        ends the export. While nobody takes the next piece, the log waits.

        Args:
            file_format: `csv`, `jsonl` or `parquet`.
            after: the prediction to go on behind; empty for the whole.

        Raises:
            InvalidInput: the query cannot be.
            ServiceError: the log is away, full, late or broken; maybe in the middle.
        """
        request = pb.ExportPredictionsRequest(
            tenant=tenant, filter=filter_of(query), format=_FORMATS[file_format], after=after
        )
        call = self._stub.ExportPredictions(request, timeout=self._timeout)
        try:
            with upstream_errors(_SERVICE):
                async for answer in call:
                    yield answer.data
        finally:
            call.cancel()

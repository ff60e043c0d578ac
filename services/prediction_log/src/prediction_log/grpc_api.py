"""PredictionLogService over gRPC."""

from typing import Any

from prediction_log.converters import (
    filter_from,
    identifier_from,
    invalid,
    opinion_from,
    text_from,
    to_prediction,
    to_stats,
)
from prediction_log.cursors import make_cursor, read_cursor
from prediction_log.domain import PredictionNotFound
from prediction_log.feedback import FeedbackDesk
from prediction_log.prediction_queries import PredictionQueries
from prediction_log.tenancy import client_of, tenant_of
from servicekit import request_context
from weir.predictions.v1 import predictions_pb2, predictions_pb2_grpc

SERVICE = predictions_pb2.DESCRIPTOR.services_by_name["PredictionLogService"].full_name
SCOPES = {
    f"/{SERVICE}/GetPrediction": "predictions:read",
    f"/{SERVICE}/ListPredictions": "predictions:read",
    f"/{SERVICE}/GetStats": "predictions:read",
    f"/{SERVICE}/RecordFeedback": "feedback:write",
}
DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class PredictionLogServicer(predictions_pb2_grpc.PredictionLogServiceServicer):
    """Answers for the tenant that the caller belongs to or speaks for."""

    def __init__(self, queries: PredictionQueries, feedback: FeedbackDesk) -> None:
        self._queries = queries
        self._feedback = feedback

    async def GetPrediction(
        self, request: predictions_pb2.GetPredictionRequest, context: Any
    ) -> predictions_pb2.GetPredictionResponse:
        """One prediction; NOT_FOUND for another tenant's."""
        tenant = _tenant(request.tenant)
        identifier = identifier_from("prediction_id", request.prediction_id)
        found = await self._queries.find(tenant, identifier)
        if found is None:
            raise PredictionNotFound("There is no such prediction.")
        return predictions_pb2.GetPredictionResponse(prediction=to_prediction(found))

    async def ListPredictions(
        self, request: predictions_pb2.ListPredictionsRequest, context: Any
    ) -> predictions_pb2.ListPredictionsResponse:
        """A page, newest first; what is recorded meanwhile does not move later pages."""
        tenant = _tenant(request.tenant)
        matching = filter_from(request.filter)
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_LIMIT:
            raise invalid("limit", f"is above {MAX_LIMIT}")
        after = read_cursor(tenant, matching, request.cursor) if request.cursor else None
        # One more than asked for tells whether there is another page.
        found = await self._queries.page(tenant, matching, after=after, limit=limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return predictions_pb2.ListPredictionsResponse(
            predictions=[to_prediction(logged) for logged in page],
            next_cursor=make_cursor(tenant, matching, page[-1].record.id) if more else "",
        )

    async def GetStats(
        self, request: predictions_pb2.GetStatsRequest, context: Any
    ) -> predictions_pb2.GetStatsResponse:
        """Numbers over all predictions that match."""
        tenant = _tenant(request.tenant)
        return to_stats(await self._queries.stats(tenant, filter_from(request.filter)))

    async def RecordFeedback(
        self, request: predictions_pb2.RecordFeedbackRequest, context: Any
    ) -> predictions_pb2.RecordFeedbackResponse:
        """Answers once the feedback is on the stream."""
        client_id = client_of(request_context.principal.get(), request.client_id)
        feedback_id = await self._feedback.take(
            _tenant(request.tenant),
            text_from("client_id", client_id) or client_id,
            identifier_from("prediction_id", request.prediction_id),
            opinion_from(request),
        )
        return predictions_pb2.RecordFeedbackResponse(feedback_id=str(feedback_id))


def _tenant(stated: str) -> str:
    tenant = tenant_of(request_context.principal.get(), stated)
    return text_from("tenant", tenant) or tenant

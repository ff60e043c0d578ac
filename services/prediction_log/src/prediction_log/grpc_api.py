"""PredictionLogService over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from prediction_log.append_converters import (
    appended_fact,
    keeping_claimed,
    to_append_response,
)
from prediction_log.appending import Appender
from prediction_log.converters import (
    idempotency_key_from,
    identifier_from,
    invalid,
    opinion_from,
    text_from,
    to_feedback,
    to_prediction,
)
from prediction_log.cursors import make_cursor, read_cursor
from prediction_log.domain import MAX_SUBJECT, PredictionFilter
from prediction_log.errors import PredictionNotFound, PrivacyNotConfigured, ScopeMissing
from prediction_log.export_conversion import format_from, to_export_response
from prediction_log.feedback import FeedbackDesk
from prediction_log.feedback_queries import FeedbackQueries
from prediction_log.filter_conversion import filter_from
from prediction_log.input_reader import InputReader
from prediction_log.prediction_export import PredictionExport
from prediction_log.prediction_queries import PredictionQueries
from prediction_log.prediction_stats import PredictionStatistics
from prediction_log.pseudonyms import Pseudonyms
from prediction_log.stats_conversion import (
    granularity_from,
    series_filter_from,
    to_series,
    to_stats,
)
from prediction_log.stats_series import StatsSeries
from prediction_log.tenancy import address_of, client_of, tenant_of
from servicekit import request_context
from weir.predictions.v1 import predictions_pb2, predictions_pb2_grpc

SERVICE = predictions_pb2.DESCRIPTOR.services_by_name["PredictionLogService"].full_name
SCOPES = {
    f"/{SERVICE}/GetPrediction": "predictions:read",
    f"/{SERVICE}/ListPredictions": "predictions:read",
    f"/{SERVICE}/GetStats": "predictions:read",
    f"/{SERVICE}/GetStatsSeries": "predictions:read",
    f"/{SERVICE}/ExportPredictions": "predictions:export",
    f"/{SERVICE}/RecordFeedback": "feedback:write",
    f"/{SERVICE}/ListFeedback": "predictions:read",
    f"/{SERVICE}/Append": "predictions:write",
}
INPUTS_SCOPE = "inputs:read"
"""Needed beside `predictions:read` by those who want a text."""
DEFAULT_LIMIT = 50
MAX_LIMIT = 500
MAX_FEEDBACK_LIMIT = 200
"""With comments of the greatest length a page of them still fits into a message."""
MAX_APPEND_RECORDS = 1000
"""In one message."""


class PredictionLogServicer(predictions_pb2_grpc.PredictionLogServiceServicer):
    """Answers for the tenant that the caller belongs to or speaks for.

    Args:
        pseudonyms: None where the service has no keys; then nothing is found by subject.
    """

    def __init__(
        self,
        queries: PredictionQueries,
        statistics: PredictionStatistics,
        series: StatsSeries,
        export: PredictionExport,
        feedback: FeedbackDesk,
        history: FeedbackQueries,
        appender: Appender,
        inputs: InputReader,
        pseudonyms: Pseudonyms | None,
    ) -> None:
        self._queries = queries
        self._statistics = statistics
        self._series = series
        self._export = export
        self._feedback = feedback
        self._history = history
        self._appender = appender
        self._inputs = inputs
        self._pseudonyms = pseudonyms

    async def GetPrediction(
        self, request: predictions_pb2.GetPredictionRequest, context: Any
    ) -> predictions_pb2.GetPredictionResponse:
        """One prediction; NOT_FOUND for another tenant's."""
        caller = request_context.principal.get()
        if request.include_input and INPUTS_SCOPE not in caller.scopes:
            raise ScopeMissing(f"The token lacks the scope {INPUTS_SCOPE}.")
        tenant = _tenant(request.tenant)
        client_id = _client(request.client_id)
        identifier = identifier_from("prediction_id", request.prediction_id)
        found = await self._queries.find(tenant, identifier)
        if found is None:
            raise PredictionNotFound("There is no such prediction.")
        prediction = to_prediction(found)
        if request.include_input:
            address = address_of(caller, request.client_address, context.peer())
            text = await self._inputs.read(tenant, client_id, identifier, client_address=address)
            if text is not None:
                prediction.input_text = text
        return predictions_pb2.GetPredictionResponse(prediction=prediction)

    async def ListPredictions(
        self, request: predictions_pb2.ListPredictionsRequest, context: Any
    ) -> predictions_pb2.ListPredictionsResponse:
        """A page, newest first; what is recorded meanwhile does not move later pages."""
        tenant = _tenant(request.tenant)
        matching = self._matching(tenant, request.filter)
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_LIMIT:
            raise invalid("limit", f"is above {MAX_LIMIT}")
        after = read_cursor(tenant, matching, request.cursor) if request.cursor else None
        page = await self._queries.page(tenant, matching, after=after, limit=limit)
        return predictions_pb2.ListPredictionsResponse(
            predictions=[to_prediction(logged) for logged in page.predictions],
            next_cursor=make_cursor(tenant, matching, page.after) if page.after else "",
        )

    async def GetStats(
        self, request: predictions_pb2.GetStatsRequest, context: Any
    ) -> predictions_pb2.GetStatsResponse:
        """Numbers over all predictions that match."""
        tenant = _tenant(request.tenant)
        matching = self._matching(tenant, request.filter)
        if matching.shadow is None:
            # What callers never saw is counted only where it is asked for.
            matching = replace(matching, shadow=False)
        return to_stats(await self._statistics.over(tenant, matching))

    async def GetStatsSeries(
        self, request: predictions_pb2.GetStatsSeriesRequest, context: Any
    ) -> predictions_pb2.GetStatsSeriesResponse:
        """Numbers by hour or day."""
        series = await self._series.read(
            _tenant(request.tenant),
            series_filter_from(request),
            granularity_from(request.bucket),
            by_version=request.by_version,
        )
        return to_series(series)

    async def ExportPredictions(
        self, request: predictions_pb2.ExportPredictionsRequest, context: Any
    ) -> AsyncIterator[predictions_pb2.ExportPredictionsResponse]:
        """A file in pieces; it is complete only when the call ends with OK."""
        tenant = _tenant(request.tenant)
        pieces = self._export.pieces(
            tenant,
            self._matching(tenant, request.filter),
            format_from(request.format),
            after=identifier_from("after", request.after) if request.after else None,
        )
        async with aclosing(pieces):
            async for piece in pieces:
                yield to_export_response(piece)

    async def RecordFeedback(
        self, request: predictions_pb2.RecordFeedbackRequest, context: Any
    ) -> predictions_pb2.RecordFeedbackResponse:
        """Answers once the feedback is on the stream."""
        feedback_id = await self._feedback.take(
            _tenant(request.tenant),
            _client(request.client_id),
            identifier_from("prediction_id", request.prediction_id),
            opinion_from(request),
            idempotency_key_from(request.idempotency_key),
        )
        return predictions_pb2.RecordFeedbackResponse(feedback_id=str(feedback_id))

    async def ListFeedback(
        self, request: predictions_pb2.ListFeedbackRequest, context: Any
    ) -> predictions_pb2.ListFeedbackResponse:
        """A page of all that was said, newest first; NOT_FOUND for another tenant's prediction."""
        tenant = _tenant(request.tenant)
        identifier = identifier_from("prediction_id", request.prediction_id)
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_FEEDBACK_LIMIT:
            raise invalid("limit", f"is above {MAX_FEEDBACK_LIMIT}")
        listed = ("feedback", identifier)
        after = read_cursor(tenant, listed, request.cursor) if request.cursor else None
        if await self._queries.find(tenant, identifier) is None:
            raise PredictionNotFound("There is no such prediction.")
        found = await self._history.page(tenant, identifier, after=after, limit=limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return predictions_pb2.ListFeedbackResponse(
            feedback=[to_feedback(record) for record in page],
            next_cursor=make_cursor(tenant, listed, page[-1].id) if more else "",
        )

    async def Append(
        self, request_iterator: AsyncIterator[predictions_pb2.AppendRequest], context: Any
    ) -> predictions_pb2.AppendResponse:
        """Answers once all that was accepted is on the stream."""
        caller = request_context.principal.get()
        keeping = keeping_claimed(caller)
        with self._appender.begin() as appending:
            async for request in self._appender.awaited(aiter(request_iterator)):
                if len(request.records) > MAX_APPEND_RECORDS:
                    raise invalid("records", f"are more than {MAX_APPEND_RECORDS}")
                await appending.add(
                    appended_fact(record, caller, keeping) for record in request.records
                )
            return to_append_response(await appending.finish())

    def _matching(self, tenant: str, asked: predictions_pb2.PredictionFilter) -> PredictionFilter:
        matching = filter_from(asked)
        subject = text_from("filter.subject", asked.subject, MAX_SUBJECT)
        if subject is None:
            return matching
        if self._pseudonyms is None:
            raise PrivacyNotConfigured("The log has no secret to find subjects with.")
        return replace(matching, subject_digest=self._pseudonyms.digest(tenant, subject))


def _client(stated: str) -> str:
    client_id = client_of(request_context.principal.get(), stated)
    return text_from("client_id", client_id) or client_id


def _tenant(stated: str) -> str:
    tenant = tenant_of(request_context.principal.get(), stated)
    return text_from("tenant", tenant) or tenant

"""Takes feedback on a prediction: checks it against the prediction and publishes it as a fact."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prediction_log.domain import InvalidRequest, PredictionNotFound, PredictionRecord
from prediction_log.prediction_queries import PredictionQueries
from servicekit.errors import FieldViolation
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import time_of
from weir.events.v1 import events_pb2


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says about a prediction; at least one of the three is there."""

    correct_label: str | None
    score: float | None
    comment: str | None


class FeedbackDesk:
    """Accepts opinions on logged predictions."""

    def __init__(
        self,
        queries: PredictionQueries,
        publisher: EventPublisher,
        stream: str,
        new_id: Callable[[], UUID],
    ) -> None:
        self._queries = queries
        self._publisher = publisher
        self._stream = stream
        self._new_id = new_id

    async def take(
        self, tenant: str, client_id: str, prediction_id: UUID, opinion: Opinion
    ) -> UUID:
        """Publishes the opinion; returns its id once the stream has it.

        Raises:
            PredictionNotFound: the tenant has no such prediction.
            InvalidRequest: the model that predicted knows no such label.
            LogStoreUnavailable: the prediction cannot be looked up now.
            EventStreamUnavailable: the opinion was not taken.
        """
        found = await self._queries.find(tenant, prediction_id)
        if found is None:
            raise PredictionNotFound("There is no such prediction.")
        if opinion.correct_label is not None:
            _check_label(opinion.correct_label, found.record)
        identifier = self._new_id()
        fact = _fact(identifier, time_of(identifier), client_id, opinion, found.record)
        await self._publisher.publish(self._stream, [fact])
        return identifier


def _check_label(label: str, prediction: PredictionRecord) -> None:
    if label not in prediction.probabilities:
        known = ", ".join(sorted(prediction.probabilities)[:20])
        raise InvalidRequest(
            "The model that predicted knows no such label.",
            violations=[FieldViolation("correct_label", f"must be one of: {known}")],
        )


def _fact(
    identifier: UUID,
    given_at: datetime,
    client_id: str,
    opinion: Opinion,
    prediction: PredictionRecord,
) -> events_pb2.FeedbackRecorded:
    fact = events_pb2.FeedbackRecorded(
        feedback_id=str(identifier),
        prediction_id=str(prediction.id),
        tenant=prediction.tenant,
        client_id=client_id,
        correct_label=opinion.correct_label or "",
        score=opinion.score,
        comment=opinion.comment or "",
        model=prediction.model,
        model_version=prediction.model_version,
        predicted_label=prediction.label,
        confidence=prediction.confidence,
    )
    fact.given_at.FromDatetime(given_at)
    return fact

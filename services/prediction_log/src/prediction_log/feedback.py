"""Takes feedback on a prediction: checks it against the prediction and publishes it as a fact.

What an idempotency key guarantees: all calls of one client with the same key, on the same
prediction, have the same id, and the log never holds more than one row of an id, the first that was
written. A call that says something else is refused from the moment on that the row can be seen;
until then, which is as long as the stream's lag, it is answered like the first and leaves no trace.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prediction_log.domain import FeedbackRecord, PredictionRecord
from prediction_log.errors import FeedbackKeyReused, InvalidRequest, PredictionNotFound
from prediction_log.feedback_queries import FeedbackQueries
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
        history: FeedbackQueries,
        publisher: EventPublisher,
        stream: str,
        new_id: Callable[[], UUID],
    ) -> None:
        self._queries = queries
        self._history = history
        self._publisher = publisher
        self._stream = stream
        self._new_id = new_id

    async def take(
        self,
        tenant: str,
        client_id: str,
        prediction_id: UUID,
        opinion: Opinion,
        idempotency_key: str | None = None,
    ) -> UUID:
        """Publishes the opinion; returns its id once the stream, or the log, has it.

        Raises:
            PredictionNotFound: the tenant has no such prediction.
            InvalidRequest: the model that predicted knows no such label.
            FeedbackKeyReused: the client said something else under the same key.
            LogStoreUnavailable: the prediction cannot be looked up now.
            EventStreamUnavailable: the opinion was not taken.
        """
        found = await self._queries.find(tenant, prediction_id)
        if found is None:
            raise PredictionNotFound("There is no such prediction.")
        if opinion.correct_label is not None:
            _check_label(opinion.correct_label, found.record)
        identifier = made = self._new_id()
        if idempotency_key is not None:
            identifier = keyed_id(tenant, client_id, prediction_id, idempotency_key)
            if earlier := await self._history.find(tenant, identifier):
                _check_same(opinion, earlier, found.record)
                return identifier
        fact = _fact(identifier, time_of(made), client_id, opinion, found.record)
        await self._publisher.publish(self._stream, [fact])
        return identifier


def keyed_id(tenant: str, client_id: str, prediction_id: UUID, idempotency_key: str) -> UUID:
    """The feedback's id that a key stands for (UUIDv8: RFC 9562, 5.8; a name-based SHA-256)."""
    named = repr((tenant, client_id, str(prediction_id), idempotency_key)).encode()
    digest = int.from_bytes(hashlib.sha256(named).digest()[:16])
    version_and_variant = 0xF << 76 | 0x3 << 62
    return UUID(int=digest & ~version_and_variant | 0x8 << 76 | 0x2 << 62)


def _check_same(opinion: Opinion, earlier: FeedbackRecord, prediction: PredictionRecord) -> None:
    if prediction.erased_at is not None:
        # The comment is gone; whether it was the same cannot be told.
        opinion = replace(opinion, comment=earlier.comment)
    if opinion != Opinion(earlier.correct_label, earlier.score, earlier.comment):
        raise FeedbackKeyReused(
            "Other feedback was given under the same idempotency key.",
            violations=[FieldViolation("idempotency_key", "stands for other feedback already")],
        )


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

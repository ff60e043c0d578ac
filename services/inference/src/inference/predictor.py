"""Decides what becomes of the items of a call: rejected, or scored, recorded and answered."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from inference.answer_cache import Runner
from inference.domain import (
    MAX_SUBJECT,
    Fault,
    Item,
    NoItems,
    Outcome,
    OutOfTime,
    Prediction,
    QueueFull,
    Rejection,
    Scored,
    SealingKeyMissing,
    TooManyItems,
)
from inference.item_spans import ItemSpans
from inference.model_repository import ModelRepository
from inference.runnable import RunnableModel
from servicekit.errors import ServiceError
from servicekit.identifiers import time_of
from servicekit.span_names import ANSWER, RECORD
from servicekit.telemetry import child_span

PREDICTIONS = Counter(
    "weir_inference_predictions_total", "Recorded predictions.", ["model", "model_version"]
)
REJECTIONS = Counter("weir_inference_rejections_total", "Items that were rejected.", ["fault"])
for _fault in Fault:
    REJECTIONS.labels(_fault.name)
MODEL_SECONDS = Histogram(
    "weir_inference_model_seconds",
    "Time in the model of the batch that a prediction came from, seconds.",
    ["model", "model_version"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024),
)
UNDER_WAY = Gauge("weir_inference_items", "Items that wait, run or are being recorded.")
_OF_THE_WHOLE_CALL: Mapping[Fault, type[ServiceError]] = {
    Fault.SATURATED: QueueFull,
    Fault.DEADLINE_EXCEEDED: OutOfTime,
    Fault.SEALING_KEY_MISSING: SealingKeyMissing,
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PredictionRecorder(Protocol):
    """Where predictions go on record."""

    def refusal(self, item: Item) -> Rejection | None:
        """Why its prediction could not be recorded; None if it could."""
        ...

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Returns them once they are durable."""
        ...


class Predictor:
    """Predicts the items of calls.

    Args:
        runner: answers items: the scheduler, or the cache in front of it.
        new_id: makes UUIDv7s.
        answered: told of predictions that the routing chose the version for, once they are on
            record; returns at once.
        spans: shows items in traces of their own; None where nobody traces.
    """

    def __init__(
        self,
        repository: ModelRepository,
        recorder: PredictionRecorder,
        runner: Runner,
        new_id: Callable[[], UUID],
        *,
        max_items_per_call: int,
        answered: Callable[[Sequence[Prediction]], None] | None = None,
        spans: ItemSpans | None = None,
    ) -> None:
        self._repository = repository
        self._recorder = recorder
        self._runner = runner
        self._new_id = new_id
        self._max_items_per_call = max_items_per_call
        self._answered = answered
        self._spans = spans

    async def predict(
        self, model: str, version: str, items: Sequence[Item], *, all_or_none: bool = False
    ) -> list[Outcome]:
        """One outcome per item, in their order. The predictions among them are on record.

        Args:
            all_or_none: record nothing if one item is refused, because nobody will see the others.

        Raises:
            NoItems, TooManyItems, ModelUnknown: the call as a whole cannot be tried.
            ModelNotLoaded: it cannot for now.
            QueueFull, OutOfTime, SealingKeyMissing: that is what keeps every single item from
                being predicted.
            EventStreamUnavailable: nothing could be recorded, so nothing is answered.
        """
        if not items:
            raise NoItems("A call needs at least one item.")
        if len(items) > self._max_items_per_call:
            raise TooManyItems(f"A call may carry {self._max_items_per_call} items at most.")
        models = [self._repository.select(model, version, item).model for item in items]
        started = time.time_ns()
        UNDER_WAY.inc(len(items))
        try:
            with child_span(ANSWER):
                outcomes = await self._outcomes(models, items)
            predictions = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
            if not predictions:
                _raise_if_hopeless(outcomes)
            if not predictions or (all_or_none and len(predictions) < len(outcomes)):
                return outcomes
            with child_span(RECORD):
                predictions = list(await self._recorder.record(predictions))
        finally:
            UNDER_WAY.dec(len(items))
        if self._answered and not version:
            self._answered(predictions)
        recorded = iter(predictions)
        outcomes = [
            next(recorded) if isinstance(outcome, Prediction) else outcome for outcome in outcomes
        ]
        self._show(items, outcomes, started)
        return outcomes

    async def _outcomes(
        self, models: Sequence[RunnableModel], items: Sequence[Item]
    ) -> list[Outcome]:
        refusals = [_refusal(item) or self._recorder.refusal(item) for item in items]
        work = [
            (model, item)
            for model, item, refusal in zip(models, items, refusals, strict=True)
            if refusal is None
        ]
        answers = iter(await self._runner.run(work))
        return [
            self._outcome(model, item, refusal or next(answers))
            for model, item, refusal in zip(models, items, refusals, strict=True)
        ]

    def _outcome(self, model: RunnableModel, item: Item, answer: Scored | Rejection) -> Outcome:
        if isinstance(answer, Rejection):
            REJECTIONS.labels(answer.fault.name).inc()
            return answer
        return prediction_of(model, item, answer, self._new_id())

    def _show(self, items: Sequence[Item], outcomes: Sequence[Outcome], started: int) -> None:
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Prediction):
                predictions, seconds = _series(outcome.model, outcome.model_version)
                predictions.inc()
                if not outcome.scored.cached:
                    seconds.observe(outcome.scored.milliseconds / 1e3)
            if self._spans and item.traceparent:
                self._spans.show(item, outcome, started, time.time_ns())


def prediction_of(
    model: RunnableModel, item: Item, answer: Scored, prediction_id: UUID
) -> Prediction:
    """The prediction that a model's answer to an item makes."""
    label = max(answer.probabilities, key=answer.probabilities.__getitem__, default="")
    return Prediction(
        prediction_id=prediction_id,
        predicted_at=time_of(prediction_id),
        model=model.name,
        model_version=model.version,
        item=item,
        scored=answer,
        label=label,
        confidence=answer.probabilities.get(label, 0.0),
    )


@lru_cache(maxsize=256)
def _series(model: str, version: str) -> tuple[Counter, Histogram]:
    """A version's children; looking them up anew costs more than counting."""
    return PREDICTIONS.labels(model, version), MODEL_SECONDS.labels(model, version)


def _raise_if_hopeless(outcomes: Sequence[Outcome]) -> None:
    """A call that failed as a whole, by the service's own fault, says so with its status."""
    rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    faults = {rejection.fault for rejection in rejections}
    if len(faults) > 1:
        return
    first = min(rejections, key=lambda rejection: rejection.retry_after)
    error = _OF_THE_WHOLE_CALL.get(first.fault)
    if error is not None:
        raise error(first.message, retry_after=first.retry_after or None)


def _refusal(item: Item) -> Rejection | None:
    """What no model of any task takes."""
    if len(item.subject) > MAX_SUBJECT:
        message = f"The subject has more than {MAX_SUBJECT} characters."
        return Rejection(Fault.SUBJECT_INVALID, message)
    if item.subject and (item.subject.isspace() or _CONTROL.search(item.subject)):
        return Rejection(
            Fault.SUBJECT_INVALID, "The subject is blank or holds a control character."
        )
    return None

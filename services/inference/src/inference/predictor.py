"""Decides what becomes of the items of a call: rejected, or scored, recorded and answered."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from inference.domain import (
    MAX_SUBJECT,
    Fault,
    Item,
    NoItems,
    Outcome,
    Prediction,
    QueueFull,
    Rejection,
    Scored,
    TooManyItems,
)
from inference.model_repository import ModelRepository
from inference.runnable import RunnableModel
from inference.scheduler import Scheduler
from servicekit.identifiers import time_of

PREDICTIONS = Counter(
    "weir_inference_predictions_total", "Recorded predictions.", ["model", "version"]
)
REJECTIONS = Counter("weir_inference_rejections_total", "Items that were rejected.", ["fault"])
MODEL_SECONDS = Histogram(
    "weir_inference_model_seconds",
    "Time that one item spent in the model, seconds.",
    ["model", "version"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024),
)
UNDER_WAY = Gauge("weir_inference_items", "Items that wait or run.")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PredictionRecorder(Protocol):
    """Where predictions go on record."""

    def check(self, items: Sequence[Item]) -> None:
        """Refuses items that could not be recorded."""
        ...

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Returns them once they are durable."""
        ...


class Predictor:
    """Predicts the items of calls.

    Args:
        new_id: makes UUIDv7s.
    """

    def __init__(
        self,
        repository: ModelRepository,
        recorder: PredictionRecorder,
        scheduler: Scheduler,
        new_id: Callable[[], UUID],
        *,
        max_items_per_call: int,
        max_waiting_items: int,
    ) -> None:
        self._repository = repository
        self._recorder = recorder
        self._scheduler = scheduler
        self._new_id = new_id
        self._max_items_per_call = max_items_per_call
        self._max_waiting_items = max_waiting_items
        self._under_way = 0

    async def predict(
        self, model: str, version: str, items: Sequence[Item], *, all_or_none: bool = False
    ) -> list[Outcome]:
        """One outcome per item, in their order. The predictions among them are on record.

        Args:
            all_or_none: record nothing if one item is refused, because nobody will see the others.

        Raises:
            NoItems, TooManyItems, ModelUnknown: the call as a whole cannot be tried.
            ModelNotLoaded: it cannot for now.
            SealingKeyMissing: an item has a private part that could not be recorded.
            QueueFull: too much is under way.
            EventStreamUnavailable: nothing could be recorded, so nothing is answered.
        """
        if not items:
            raise NoItems("A call needs at least one item.")
        if len(items) > self._max_items_per_call:
            raise TooManyItems(f"A call may carry {self._max_items_per_call} items at most.")
        self._recorder.check(items)
        models = [self._repository.select(model, version, item).model for item in items]
        if self._under_way + len(items) > self._max_waiting_items:
            raise QueueFull("Too many predictions are waiting.", retry_after=1.0)
        self._occupy(len(items))
        try:
            outcomes = await self._outcomes(models, items)
        finally:
            self._occupy(-len(items))
        predictions = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
        if not predictions or (all_or_none and len(predictions) < len(outcomes)):
            return outcomes
        recorded = iter(await self._recorder.record(predictions))
        for prediction in predictions:
            PREDICTIONS.labels(prediction.model, prediction.model_version).inc()
        return [
            next(recorded) if isinstance(outcome, Prediction) else outcome for outcome in outcomes
        ]

    def _occupy(self, items: int) -> None:
        self._under_way += items
        UNDER_WAY.set(self._under_way)

    async def _outcomes(
        self, models: Sequence[RunnableModel], items: Sequence[Item]
    ) -> list[Outcome]:
        refusals = [_refusal(item) for item in items]
        work = [
            (model, item)
            for model, item, refusal in zip(models, items, refusals, strict=True)
            if refusal is None
        ]
        answers = iter(await self._scheduler.run(work))
        return [
            self._outcome(model, item, refusal or next(answers))
            for model, item, refusal in zip(models, items, refusals, strict=True)
        ]

    def _outcome(self, model: RunnableModel, item: Item, answer: Scored | Rejection) -> Outcome:
        if isinstance(answer, Rejection):
            REJECTIONS.labels(answer.fault.name).inc()
            return answer
        MODEL_SECONDS.labels(model.name, model.version).observe(answer.milliseconds / 1e3)
        label = max(answer.probabilities, key=answer.probabilities.__getitem__)
        prediction_id = self._new_id()
        return Prediction(
            prediction_id=prediction_id,
            predicted_at=time_of(prediction_id),
            model=model.name,
            model_version=model.version,
            item=item,
            scored=answer,
            label=label,
            confidence=answer.probabilities[label],
        )


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

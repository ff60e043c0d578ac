"""Has shadow versions answer what others have answered, where nobody waits for it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter

from inference.domain import Item, ModelUnknown, Prediction, Rejection, Scored
from inference.model_repository import ModelRepository
from inference.predictor import PredictionRecorder, prediction_of
from inference.runnable import RunnableModel
from servicekit.errors import Unavailable

_log = structlog.get_logger(__name__)

SHADOWED = Counter(
    "weir_inference_shadow_predictions_total",
    "Answers of shadow versions that were recorded.",
    ["model", "model_version"],
)
DROPPED = Counter(
    "weir_inference_shadow_dropped_total",
    "Inputs that a shadow version did not answer: too many were waiting (busy), it refused them "
    "(refused), the answer could not be recorded (unrecorded), or it broke (failed).",
    ["reason"],
)
for _reason in ("busy", "refused", "unrecorded", "failed"):
    DROPPED.labels(_reason)
_AT_ONCE = 16
_Work = tuple[RunnableModel, Prediction]


class BackgroundRunner(Protocol):
    """The scheduler, as one who can wait sees it."""

    async def run(
        self, work: Sequence[tuple[RunnableModel, Item]], *, background: bool = False
    ) -> list[Scored | Rejection]:
        """One answer per item, in their order."""
        ...


class Shadows:
    """Keeps a bounded queue of what was answered; what does not fit in is dropped and counted.

    The scheduler runs it when nothing else waits, so that it is the queue that fills while the
    service is busy, and no answer that somebody waits for comes later.

    Args:
        new_id: makes UUIDv7s.
        most_waiting: inputs that may wait for shadow versions.
    """

    def __init__(
        self,
        repository: ModelRepository,
        runner: BackgroundRunner,
        recorder: PredictionRecorder,
        new_id: Callable[[], UUID],
        *,
        most_waiting: int,
    ) -> None:
        self._repository = repository
        self._runner = runner
        self._recorder = recorder
        self._new_id = new_id
        self._waiting: asyncio.Queue[_Work] = asyncio.Queue(most_waiting)

    def offer(self, predictions: Sequence[Prediction]) -> None:
        """Takes what was answered by a model's routing; returns at once."""
        for prediction in predictions:
            try:
                shadows = self._repository.model(prediction.model).shadows
            except ModelUnknown:
                # It went away while it answered.
                continue
            for shadow in shadows:
                try:
                    self._waiting.put_nowait((shadow.model, prediction))
                except asyncio.QueueFull:
                    DROPPED.labels("busy").inc()

    async def work(self) -> None:
        """Answers what waits, for ever."""
        while True:
            waiting = [await self._waiting.get()]
            while len(waiting) < _AT_ONCE and not self._waiting.empty():
                waiting.append(self._waiting.get_nowait())
            try:
                await self._answer(waiting)
            except Unavailable:
                # The event stream is away, which others have said.
                _drop(waiting, "unrecorded")
            except Exception:
                _log.exception("shadows_failed", items=len(waiting))
                _drop(waiting, "failed")
            # The last of them would keep its version in memory until the next one comes.
            waiting.clear()

    async def _answer(self, waiting: Sequence[_Work]) -> None:
        # The first caller's deadline is not one for those who watch.
        work = [(model, replace(answered.item, deadline=None)) for model, answered in waiting]
        answers = await self._runner.run(work, background=True)
        shadows = []
        for (model, item), answer in zip(work, answers, strict=True):
            if isinstance(answer, Rejection):
                DROPPED.labels("refused").inc()
            else:
                shadow = prediction_of(model, item, answer, self._new_id())
                shadows.append(replace(shadow, shadow=True))
        if not shadows:
            return
        await self._recorder.record(shadows)
        for shadow in shadows:
            SHADOWED.labels(shadow.model, shadow.model_version).inc()


def _drop(waiting: Sequence[_Work], reason: str) -> None:
    DROPPED.labels(reason).inc(len(waiting))

"""What health checks hear: whether this replica can work at all, and whether all is well."""

from typing import Protocol

from inference.model_repository import ModelRepository

MODELS = "models"
"""Health of the model repository: serving while nothing in it is at fault. A replica that serves an
older version because the new one is broken is ready, and not well."""


class HealthTold(Protocol):
    """Whom health checks ask."""

    async def set_serving(self, serving: bool, *, service: str | None = None) -> None:
        """What they hear from now on of a service."""
        ...


class Readiness:
    """Tells health checks of the server, of its service and of its models apart.

    The server is ready once any model answers: one that waits for its models is of no use yet, one
    that lacks some of them is. The service must also be able to record what it answers.

    Args:
        may_predict_unrecorded: whether predictions are made while the event stream takes none.
    """

    def __init__(
        self,
        health: HealthTold,
        repository: ModelRepository,
        *,
        service: str,
        may_predict_unrecorded: bool,
    ) -> None:
        self._health = health
        self._repository = repository
        self._service = service
        self._records = True
        self.predicts = False
        """Whether predictions can be asked for, as it was last told."""
        self._unrecorded = may_predict_unrecorded

    async def stream_changed(self, recording: bool) -> None:
        """The event stream takes predictions from now on, or does not."""
        self._records = recording
        await self.tell()

    async def tell(self) -> None:
        """Tells how things stand."""
        models = list(self._repository)
        answers = any(model.answers for model in models)
        # The server as such goes on serving: what it refuses, it refuses with a reason.
        await self._health.set_serving(answers, service="")
        self.predicts = answers and (self._records or self._unrecorded)
        await self._health.set_serving(self.predicts, service=self._service)
        well = answers and not any(model.faults for model in models)
        await self._health.set_serving(well, service=MODELS)

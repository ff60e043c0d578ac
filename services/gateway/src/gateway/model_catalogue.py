"""Remembers what models take, so that a request is checked without asking inference each time."""

import re
import time
from collections.abc import Callable
from typing import Protocol

from gateway.errors import ModelUnknown
from gateway.inference_client import Model
from servicekit.errors import InvalidInput, Unavailable

_RETRY = 5.0
"""Seconds: inference looks for changes about as often."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ModelSource(Protocol):
    """Describes models."""

    async def get_model(self, name: str) -> Model:
        """The model of that name."""
        ...


class ModelCatalogue:
    """Models by name, asked for again when what is remembered is older than `lifetime` seconds."""

    def __init__(
        self,
        source: ModelSource,
        *,
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._lifetime = lifetime
        self._clock = clock
        self._known: dict[str, tuple[Model, float]] = {}

    async def find(self, name: str) -> Model:
        """The model of that name; an old description does while inference is away.

        Raises:
            ModelUnknown: there is none.
            ServiceError: inference cannot be asked.
        """
        if not _NAME.fullmatch(name):
            raise ModelUnknown("No model of that name is served.")
        known = self._known.get(name)
        if known is not None and self._clock() - known[1] < self._lifetime:
            return known[0]
        try:
            model = await self._source.get_model(name)
        except Unavailable:
            if known is None:
                raise
            return known[0]
        except ModelUnknown:
            self._known.pop(name, None)
            raise
        if model.task:
            self._known[name] = (model, self._clock())
        return model

    async def find_for_text(self, name: str) -> Model:
        """The model of that name, which takes texts.

        Raises:
            InvalidInput: it takes no texts.
            Unavailable: none of its versions is loaded.
            ServiceError: as `find`.
        """
        model = await self.find(name)
        if not model.task:
            message = f"No version of the model {name} is loaded."
            raise Unavailable(message, reason="MODEL_NOT_LOADED", retry_after=_RETRY)
        if model.max_characters == 0:
            raise InvalidInput(f"The model {name} takes no text.", reason="MODEL_TAKES_NO_TEXT")
        return model

"""BentoML: `bentoml serve serve_with_bentoml:Sentiment`, settings from the environment.

Access log and metrics are off, uvloop and httptools are installed.
"""

from typing import Any

import bentoml
from text_model import TextModel, from_environment

_GROUP = 8
"""Texts of one request that run as one batch."""
PACKAGE, SETTINGS = from_environment()
OPTIONS: dict[str, Any] = {
    "workers": SETTINGS.workers,
    "threads": SETTINGS.pool,
    "traffic": {"timeout": 120},
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},
}


class _Model:
    def __init__(self) -> None:
        self._model = TextModel(PACKAGE, SETTINGS.threads)

    @bentoml.api(route="/predict/batch")
    def predict_batch(self, texts: list[str]) -> dict[str, Any]:
        """A request of several texts."""
        return {"predictions": self._model.answers(texts, "sorted", _GROUP)}


if SETTINGS.batch == 1:

    @bentoml.service(**OPTIONS)
    class Sentiment(_Model):
        """Answers each request by itself."""

        @bentoml.api(route="/predict")
        def predict(self, text: str) -> dict[str, Any]:
            """One text."""
            return self._model.answer(text)

else:

    @bentoml.service(**OPTIONS)
    class Sentiment(_Model):  # type: ignore[no-redef]
        """Answers what waits together: a client sends a list of one text."""

        # The longest that a request may wait is the limit at which BentoML refuses it. Its
        # dispatcher finds the window by itself.
        @bentoml.api(
            route="/predict", batchable=True, max_batch_size=SETTINGS.batch, max_latency_ms=60_000
        )
        def predict(self, texts: list[str]) -> list[dict[str, Any]]:
            """What the dispatcher put together."""
            return self._model.answers(texts, SETTINGS.order, SETTINGS.batch)

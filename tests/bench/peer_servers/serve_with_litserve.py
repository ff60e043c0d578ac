"""LitServe: `python serve_with_litserve.py PORT`, settings from the environment.

POST /predict takes {"text"} or {"texts"}, as the two routes of the other servers do.
"""

import sys
from typing import Any

import litserve as ls
from text_model import Package, Settings, TextModel, from_environment

_GROUP = 8
"""Texts of one request that run as one batch."""


class Sentiment(ls.LitAPI):
    """Runs in every worker."""

    def __init__(self, package: Package, settings: Settings) -> None:
        super().__init__(max_batch_size=settings.batch, batch_timeout=settings.window_ms / 1e3)
        self._package = package
        self._settings = settings

    def setup(self, device: str) -> None:
        """Loads the model."""
        self._model = TextModel(self._package, self._settings.threads)

    def decode_request(self, request: dict[str, Any]) -> str | list[str]:
        """One text or several."""
        return request["text"] if "text" in request else request["texts"]

    def batch(self, inputs: list[str | list[str]]) -> list[str | list[str]]:
        """Requests that run together."""
        return inputs

    def unbatch(self, outputs: list[Any]) -> list[Any]:
        """Their answers, in the same order."""
        return outputs

    def predict(self, inputs: Any) -> Any:
        """Of one request, or of a dynamic batch of them."""
        if self._settings.batch == 1:
            return self._one(inputs)
        texts = [one for one in inputs if isinstance(one, str)]
        answers = iter(self._model.answers(texts, self._settings.order, len(inputs)))
        return [next(answers) if isinstance(one, str) else self._one(one) for one in inputs]

    def encode_response(self, output: Any) -> Any:
        """As it is: FastAPI makes JSON of it."""
        return output

    def _one(self, request: str | list[str]) -> Any:
        if isinstance(request, str):
            return self._model.answer(request)
        return {"predictions": self._model.answers(request, "sorted", _GROUP)}


if __name__ == "__main__":
    package, settings = from_environment()
    server = ls.LitServer(
        Sentiment(package, settings),
        accelerator="cpu",
        devices=1,
        workers_per_device=settings.workers,
        timeout=False,
        fast_queue=settings.fast_queue,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=settings.api_servers,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )

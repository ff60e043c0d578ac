"""MLServer: `mlserver start FOLDER`, whose model-settings.json names this runtime.

Debugging, compression and metrics are off. The answers of a request of several texts are one
tensor of labels and one of probabilities, as the Open Inference Protocol has it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from text_model import TextModel, from_environment

_GROUP = 8
"""Texts of one request that run as one batch."""


class Sentiment(MLModel):
    """Runs in the server or, with parallel inference, in every worker."""

    async def load(self) -> bool:
        """Loads the model."""
        package, self._serving = from_environment()
        self._model = TextModel(package, self._serving.threads)
        self._labels = package.labels
        self._pool = ThreadPoolExecutor(self._serving.pool)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Of one request, or of a dynamic batch of them."""
        texts = StringCodec.decode_input(payload.inputs[0])
        if self._serving.pool > 1:
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._pool, self._answers, texts)
        else:
            answers = self._answers(texts)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                ResponseOutput(
                    name="label",
                    shape=[len(texts)],
                    datatype="BYTES",
                    data=[answer["label"] for answer in answers],
                ),
                ResponseOutput(
                    name="probabilities",
                    shape=[len(texts), len(self._labels)],
                    datatype="FP64",
                    data=[
                        score for answer in answers for score in answer["probabilities"].values()
                    ],
                ),
            ],
        )

    def _answers(self, texts: list[str]) -> list[dict[str, Any]]:
        if len(texts) == 1:
            return [self._model.answer(texts[0])]
        if len(texts) > self._serving.batch:
            return self._model.answers(texts, "sorted", _GROUP)
        return self._model.answers(texts, self._serving.order, self._serving.batch)

"""One request of the Open Inference Protocol: read, predicted whole or not at all, answered."""

import time
from collections.abc import Sequence
from typing import Protocol

from inference.delegation import Speaker
from inference.domain import Item, ModelNotLoaded, Outcome
from inference.model_interface import interface_of
from inference.model_repository import LoadedVersion, ModelRepository
from inference.oip_answer import all_predicted, write_answer
from inference.oip_request import read_call
from inference.oip_statistics import OipStatistics
from servicekit.errors import ServiceError
from weir.oip.v2 import open_inference_pb2 as pb


class Predicting(Protocol):
    """Predicts items and records them."""

    async def predict(
        self, model: str, version: str, items: Sequence[Item], *, all_or_none: bool = False
    ) -> list[Outcome]:
        """One outcome per item."""
        ...


class OipInference:
    """Answers requests.

    Args:
        most_rows: rows that one request may have.
    """

    def __init__(
        self,
        predictor: Predicting,
        repository: ModelRepository,
        statistics: OipStatistics,
        *,
        most_rows: int,
    ) -> None:
        self._predictor = predictor
        self._repository = repository
        self._statistics = statistics
        self.most_rows = most_rows

    async def infer(
        self,
        request: pb.ModelInferRequest,
        speaker: Speaker,
        *,
        request_id: str,
        deadline: float | None,
    ) -> pb.ModelInferResponse:
        """Predicts every row or none; each is one prediction on record.

        Args:
            deadline: of the call, on the clock of `time.monotonic`.

        Raises:
            ServiceError: there is no such model, it does not take these tensors, or a row was
                refused; then nothing is on record.
        """
        started = time.perf_counter_ns()
        described = self.described(request.model_name, request.model_version)
        try:
            call = read_call(
                request,
                interface_of(described.package.manifest),
                speaker,
                request_id=request_id,
                deadline=deadline,
                most_rows=self.most_rows,
            )
            outcomes = await self._predictor.predict(
                request.model_name, request.model_version, call.items, all_or_none=True
            )
            predictions = all_predicted(outcomes)
        except ServiceError:
            manifest = described.package.manifest
            passed = time.perf_counter_ns() - started
            self._statistics.failed(manifest.name, manifest.version, passed)
            raise
        answer = write_answer(request, call, predictions)
        self._statistics.answered(predictions, time.perf_counter_ns() - started)
        return answer

    def described(self, model: str, version: str) -> LoadedVersion:
        """The version whose tensors a request must have.

        That is the one that it names, else the newest of those that take traffic.

        Raises:
            ModelUnknown: there is no such model or version.
            ModelNotLoaded: there is, and it cannot answer.
        """
        status = self._repository.model(model)
        if version:
            return self._repository.version(model, version)
        answering = status.routing.answering if status.routing else ()
        loaded = [status.loaded[each] for each in answering if each in status.loaded]
        if not loaded:
            raise ModelNotLoaded(f"No version of model {model!r} is loaded.", retry_after=5.0)
        return max(loaded, key=lambda each: each.loaded_at)

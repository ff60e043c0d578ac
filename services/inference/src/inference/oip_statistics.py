"""Counts what is answered over the Open Inference Protocol, by version, since the start."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from inference.domain import Prediction


@dataclass(slots=True)
class VersionStatistics:
    """One version of a model. Times in nanoseconds."""

    model: str
    version: str
    answered: int = 0
    """Requests."""
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    rows: int = 0
    model_ns: int = 0
    """Together, what each row spent in the model; rows that ran together count the run each."""
    last_answer_ms: int = 0
    """Since the epoch."""


class OipStatistics:
    """Only versions that were loaded get an entry, so that callers cannot make up others."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._versions: dict[tuple[str, str], VersionStatistics] = {}

    def of(self, model: str, version: str) -> VersionStatistics:
        """The entry of a version that is loaded."""
        return self._versions.setdefault((model, version), VersionStatistics(model, version))

    def answered(self, predictions: Sequence[Prediction], nanoseconds: int) -> None:
        """A request was answered."""
        first = predictions[0]
        entry = self.of(first.model, first.model_version)
        entry.answered += 1
        entry.answered_ns += nanoseconds
        entry.rows += len(predictions)
        entry.model_ns += int(sum(each.scored.milliseconds for each in predictions) * 1e6)
        entry.last_answer_ms = int(self._clock() * 1000)

    def failed(self, model: str, version: str, nanoseconds: int) -> None:
        """A request to a version that is loaded was not answered."""
        entry = self.of(model, version)
        entry.failed += 1
        entry.failed_ns += nanoseconds

    def __iter__(self) -> Iterator[VersionStatistics]:
        return iter(sorted(self._versions.values(), key=lambda each: (each.model, each.version)))

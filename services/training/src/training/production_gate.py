"""Whether a candidate is good enough beside the version that is in production.

Both are asked the same rows, now: figures that were stored once may be of other rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from training.domain import Dataset, Prediction, Refused
from training.packaged_model import PackagedModel, load_packaged
from training.repository import Repository
from training.routing import production
from training.stages import read_routing

# Differences of means that float sums make are none.
ROUNDING = 1e-9
WAY_OUT = '--unscored "why" registers all the same'

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, with accuracies as means over the sources; for the package's record.

    ``margin`` is in points, hundredths of 1. ``unscored`` is the reason that was given for
    registering without a comparison.
    """

    version: str | None
    accuracy: float
    production_accuracy: float | None
    margin: float
    unscored: str | None = None

    def fields(self) -> dict[str, Any]:
        """Without what there is none of."""
        return {
            name: round(of, 6) if isinstance(of, float) else of
            for name, of in asdict(self).items()
            if of is not None
        }


def mean_accuracy(dev: Sequence[Dataset], answers: Sequence[Sequence[Prediction]]) -> float:
    """The mean over the sources, so that a large one does not drown the others."""
    return statistics.fmean(
        _accuracy([answer.label for answer in predictions], part)
        for part, predictions in zip(dev, answers, strict=True)
    )


def compare_with_production(
    repository: Repository,
    name: str,
    labels: Sequence[str],
    dev: Sequence[Dataset],
    ours: float,
    *,
    margin: float,
    unscored: str | None,
    say: Say,
) -> Comparison:
    """Ask the production version the same rows. A model's first version has nothing to fear.

    Raises Refused when ``ours`` is more than ``margin`` points below it, and when it cannot be
    asked, unless ``unscored`` says why that shall not matter.
    """
    version = production(read_routing(repository, name))
    if version is None:
        return Comparison(None, ours, None, margin)
    try:
        theirs = _score(repository, name, version, labels, dev, say)
    except Refused as exc:
        reason = _not_askable(version, exc)
        if unscored is None:
            raise Refused(f"{reason}; {WAY_OUT}") from exc
        say(f"{reason}; registered all the same: {unscored}")
        return Comparison(version, ours, None, margin, unscored)
    say(f"accuracy {ours:.4f}; version {version}, in production, {theirs:.4f} on the same rows")
    if ours < theirs - margin / 100 - ROUNDING:
        raise Refused(
            f"accuracy {ours:.4f} is below {theirs:.4f} of version {version}, in production, "
            f"by more than {margin:g} points"
        )
    return Comparison(version, ours, theirs, margin)


def check_askable(repository: Repository, name: str, labels: Sequence[str]) -> None:
    """Raise Refused, before there is a candidate, when production could not be asked its rows."""
    version = production(read_routing(repository, name))
    if version is None:
        return
    try:
        with _loaded(repository, name, version, labels):
            return
    except Refused as exc:
        raise Refused(f"{_not_askable(version, exc)}; {WAY_OUT}") from exc


def _not_askable(version: str, reason: Refused) -> str:
    return f"version {version}, in production, cannot be compared with: {reason}"


@contextmanager
def _loaded(
    repository: Repository, name: str, version: str, labels: Sequence[str]
) -> Iterator[PackagedModel]:
    """A version's model. Raises Refused when it cannot be run, or has other labels."""
    if version not in repository.versions(name):
        raise Refused("its package is gone")
    with repository.package(name, version) as directory:
        model = load_packaged(directory)
        if sorted(model.labels) != sorted(labels):
            raise Refused(f"its labels are {', '.join(model.labels)}")
        yield model


def _score(
    repository: Repository,
    name: str,
    version: str,
    labels: Sequence[str],
    dev: Sequence[Dataset],
    say: Say,
) -> float:
    with _loaded(repository, name, version, labels) as model:
        # The same labels in another order are other indices.
        place = [labels.index(label) for label in model.labels]
        say(f"asking version {version} the same rows")
        scores = []
        for part in dev:
            answers = [model.classifier.predict(row.text) for row in part.examples]
            scores.append(_accuracy([place[answer.label] for answer in answers], part))
    return statistics.fmean(scores)


def _accuracy(labels: Sequence[int], part: Dataset) -> float:
    """The share of rows that were given their own label."""
    hits = [label == row.label for label, row in zip(labels, part.examples, strict=True)]
    return sum(hits) / len(hits)

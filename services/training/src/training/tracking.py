"""Keeps what runs were made of and how they went, for comparing them later; never needed.

Whether there is a tracking store, and whether it answers, changes nothing in a training run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from training.domain import Pruned
from training.recipe import Recipe

# Beside a run: which tracked run is its own, for resuming, evaluating and registering it.
TRACKING = "tracking.json"

Say = Callable[[str], object]


class TrackedRun(Protocol):
    """One run in a tracking store. Nothing here raises because of the store."""

    def params(self, values: Mapping[str, object]) -> None:
        """Keep what was chosen."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep what was measured at a step."""

    def artefact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a directory."""

    def nested(self, name: str) -> AbstractContextManager[TrackedRun]:
        """A run below this one, ended with the context."""


class Untracked:
    """Keeps nothing."""

    def params(self, values: Mapping[str, object]) -> None:
        """Keep nothing."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep nothing."""

    def artefact(self, path: Path, folder: str = "") -> None:
        """Keep nothing."""

    @contextmanager
    def nested(self, name: str) -> Iterator[TrackedRun]:
        """Another that keeps nothing."""
        yield self


@contextmanager
def tracked_run(
    experiment: str, name: str, say: Say, *, beside: Path, go_on: bool, enabled: bool
) -> Iterator[TrackedRun]:
    """The tracked run ``name`` of an experiment, ended with the context.

    ``beside`` is the run's directory; ``go_on`` goes on with the tracked run that it had.
    """
    if not enabled:
        yield Untracked()
        return
    # Imported late: it is slow, and the only importer of mlflow.
    from training.mlflow_run import MlflowRun

    run = MlflowRun.open(experiment, name, say, _known(beside) if go_on else None)
    if run.id:
        _remember(beside, run.id)
    with ending(run):
        yield run


@contextmanager
def ending(run: Any) -> Iterator[None]:
    """End a tracked run as the context ends."""
    try:
        yield
    except Pruned:
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def flat(recipe: Recipe) -> dict[str, object]:
    """A recipe's settings by dotted key; lists as JSON."""
    return dict(_flat("", recipe.model_dump(mode="json")))


def event_metrics(event: Mapping[str, Any]) -> dict[str, float]:
    """The figures of an event of a run's log: of training, or of every source's dev rows."""
    if "dev" not in event:
        return {f"train/{key}": float(of) for key, of in event.items() if key != "step"}
    figures = {
        f"dev/{source}/{figure}": float(of)
        for source, scores in event["dev"].items()
        for figure, of in scores.items()
    }
    return {**figures, "dev/mean": float(event["mean"])}


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list | dict):
        yield prefix, json.dumps(value, ensure_ascii=False)
    else:
        yield prefix, value


def _known(beside: Path) -> str | None:
    try:
        return str(json.loads((beside / TRACKING).read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(beside: Path, run: str) -> None:
    try:
        beside.mkdir(parents=True, exist_ok=True)
        (beside / TRACKING).write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
    except OSError:
        # The run itself will say that its directory cannot be written.
        return

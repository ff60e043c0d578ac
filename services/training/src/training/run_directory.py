"""The directory of a training run: its identity, checkpoints, log and finished model.

``run.json`` says what the run is, ``checkpoints/step-*.pt`` where it can go on, ``log.jsonl`` how
it went, and ``model`` appears, whole, when it is done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from training.domain import InputError, StorageError
from training.run_files import CHECKPOINTS, IDENTITY, LOG, MODEL
from training.staged_directory import staged_directory, write_whole

Say = Callable[[str], object]


class RunDirectory:
    """A run's files below ``path``; ``keep`` is how many checkpoints stay."""

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self._checkpoints = path / CHECKPOINTS
        self._keep = keep

    def begin(
        self,
        must_match: Mapping[str, str],
        should_match: Mapping[str, str],
        *,
        resume: bool,
        say: Say,
    ) -> dict[str, Any] | None:
        """Begin a run, or with ``resume`` return the state that an earlier one can go on from.

        What ``must_match`` of the earlier run makes another run; what ``should_match`` may change
        its weights in the last bits, and is said. Raises InputError when the directory holds a
        finished run, an unfinished one that is not to be resumed, or another run.
        """
        identity = {"must_match": dict(must_match), "should_match": dict(should_match)}
        if (self.path / MODEL).exists():
            raise InputError(f"{self.path}: the run is finished; choose another --output")
        if not (self.path / IDENTITY).exists():
            self._write_identity(identity)
            return None
        if not resume:
            raise InputError(f"{self.path}: an unfinished run; --resume it, or choose another")
        self._compare(identity, say)
        self._clear_leftovers()
        state = self._newest(say)
        self._cut_log(0 if state is None else int(state["position"]["step"]))
        return state

    def save(self, state: Mapping[str, Any], step: int) -> None:
        """Write a checkpoint, whole or not at all, and remove the oldest ones.

        Raises StorageError when the file system refuses.
        """
        path = self._checkpoints / f"step-{step:09d}.pt"
        write_whole(path, lambda stage: _save(dict(state), stage))
        for old in self._sorted()[: -self._keep]:
            old.unlink()

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one event, with its ``step``. Raises StorageError when the disk is full."""
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(event)) + "\n")
        except OSError as exc:
            raise StorageError(f"{self.path / LOG}: cannot be written ({exc.strerror})") from exc

    def finish(self, write: Callable[[Path], object]) -> Path:
        """Let ``write`` fill the model's directory, and remove the checkpoints."""
        target = self.path / MODEL
        with staged_directory(target) as stage:
            write(stage)
        shutil.rmtree(self._checkpoints, ignore_errors=True)
        return target

    def _write_identity(self, identity: Mapping[str, Any]) -> None:
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"{self.path}: cannot be written ({exc.strerror})") from exc
        text = json.dumps(identity, indent=2) + "\n"
        write_whole(self.path / IDENTITY, lambda stage: stage.write_text(text, encoding="utf-8"))

    def _compare(self, identity: Mapping[str, Mapping[str, str]], say: Say) -> None:
        path = self.path / IDENTITY
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            differ = {
                part: [key for key, value in values.items() if earlier[part].get(key) != value]
                for part, values in identity.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise InputError(f"{path}: not the record of a run") from exc
        if differ["must_match"]:
            raise InputError(f"{self.path}: a run with another {', '.join(differ['must_match'])}")
        for key in differ["should_match"]:
            old, new = earlier["should_match"].get(key), identity["should_match"][key]
            say(f"resumed with another {key} ({old} before, {new} now): weights may differ")

    def _clear_leftovers(self) -> None:
        """Remove what a killed run was writing."""
        for leftover in (*self._checkpoints.glob(".step-*"), *self.path.glob(f".{MODEL}.*")):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()

    def _newest(self, say: Say) -> dict[str, Any] | None:
        for path in reversed(self._sorted()):
            try:
                # Tensors and plain values only: a checkpoint can run no code of its own.
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            # A damaged file raises errors of the archive, the pickle or the tensors.
            except Exception as exc:
                say(f"{path.name} cannot be read ({type(exc).__name__}), taking the one before")
                continue
            return state
        return None

    def _sorted(self) -> list[Path]:
        return sorted(self._checkpoints.glob("step-*.pt"))

    def _cut_log(self, step: int) -> None:
        """Forget events after ``step``: they will happen again."""
        path = self.path / LOG
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            # The last line may be half: the run was killed.
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        write_whole(path, lambda stage: stage.write_text("".join(kept), encoding="utf-8"))


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as exc:
        # torch's writer hides the reason of a failed write.
        raise OSError(f"torch could not write it: {str(exc).splitlines()[0]}") from exc

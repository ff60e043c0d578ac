"""A model repository in a directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.domain import InputError, StorageError
from training.repository import MANIFEST, Change
from training.staged_directory import staged_directory, write_whole

# An edit takes milliseconds: who holds the lock for so long is stuck.
PATIENCE_SECONDS = 20.0
SECONDS_BETWEEN_TRIES = 0.02


class LocalRepository:
    """Packages appear by renaming; edits of one model wait for each other."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def location(self, name: str, version: str = "") -> str:
        """The directory of a model or of a package."""
        return str(self._root / name / version)

    def models(self) -> list[str]:
        """Names of the models that have a package, sorted."""
        # A name whose first character is a dot is being written.
        return sorted(
            {path.parent.parent.name for path in self._root.glob(f"[!.]*/[!.]*/{MANIFEST}")}
        )

    def versions(self, name: str) -> list[str]:
        """Whole packages of a model."""
        return sorted(path.parent.name for path in (self._root / name).glob(f"[!.]*/{MANIFEST}"))

    def read(self, name: str, file: str) -> bytes | None:
        """A file of a model, or None where there is none."""
        path = self._root / name / file
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StorageError(f"{path}: cannot be read ({exc.strerror})") from exc

    def edit(self, name: str, file: str, change: Change) -> None:
        """Replace a file of a model, under the lock of its directory."""
        path = self._root / name / file
        with _locked(path.parent):
            content = change(self.read(name, file))
            if content is not None:
                write_whole(path, lambda stage: stage.write_bytes(content))

    @contextmanager
    def staging(self, name: str, version: str) -> Iterator[Path]:
        """A directory beside the package's, renamed at the end."""
        target = self._root / name / version
        if target.exists():
            raise InputError(
                f"{target} exists, and a version is immutable: choose another --version"
            )
        try:
            with staged_directory(target) as stage:
                yield stage
        finally:
            _remove_if_empty(target.parent)

    @contextmanager
    def package(self, name: str, version: str) -> Iterator[Path]:
        """The package's own directory."""
        path = self._root / name / version
        if not (path / MANIFEST).is_file():
            raise InputError(f"{path}: there is no package")
        yield path


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        # It holds something, or there is none.
        return


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which ends with the process, however it ends."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as exc:
        raise StorageError(f"{directory}: cannot be opened ({exc.strerror})") from exc
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > give_up:
                raise StorageError(f"{directory}: somebody else has been editing it, try again")
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

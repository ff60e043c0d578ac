"""Directories and files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from training.domain import InputError, StorageError


@contextmanager
def staged_directory(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a directory beside ``target`` to write into, and rename it to ``target`` at the end.

    On an error nothing of it remains. ``replace`` puts an existing directory out of the way at the
    moment of the renaming. Raises StorageError when the file system refuses (full, read-only) and
    InputError when ``target`` exists.
    """
    stage: Path | None = None
    try:
        if target.exists() and not replace:
            raise InputError(f"{target} exists: choose another, or --replace it")
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield stage
        for file in stage.iterdir():
            _flush_to_disk(file)
        # mkdtemp lets nobody else in, and who reads the result is somebody else.
        stage.chmod(0o755)
        _put_in_place(stage, target, replace=replace)
    except OSError as exc:
        raise StorageError(f"{target}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then put it in its place.

    Raises StorageError when the file system refuses; ``path`` is as it was then.
    """
    stage = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(stage)
        _flush_to_disk(stage)
        stage.replace(path)
        _flush_to_disk(path.parent)
    except OSError as exc:
        raise StorageError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        stage.unlink(missing_ok=True)


def _put_in_place(stage: Path, target: Path, *, replace: bool) -> None:
    old = None
    if replace and target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        target.rename(old / target.name)
    try:
        stage.rename(target)
    except OSError as exc:
        if exc.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        raise InputError(f"{target} was written by somebody else meanwhile") from exc
    _flush_to_disk(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _flush_to_disk(path: Path) -> None:
    # A rename may reach the disk before the bytes do; after a power cut, half a file would be left.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

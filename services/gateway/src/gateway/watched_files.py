"""Tells whether files have changed, without reading them."""

from pathlib import Path

Signature = tuple[tuple[int, int, int] | None, ...]


def signature_of(*files: Path) -> Signature:
    """Differs when a file was written or replaced, also by way of a link in its path."""
    return tuple(map(_signature, files))


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

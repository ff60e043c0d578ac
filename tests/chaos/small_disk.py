"""Disks that can be filled: small tmpfs, in a mount namespace of their own that ends with them."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STEP = 64 * 1024
_SMALLEST = 4096
_DETACH = 2


class SmallDisk:
    """A directory whose space can be taken away and given back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / ".filler"

    def fill(self) -> None:
        """Leaves not a page free."""
        with self._filler.open("ab", buffering=0) as filler:
            step = _STEP
            while step >= _SMALLEST:
                try:
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2

    def free(self) -> None:
        """Gives the space back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk, mounted at `path`, in a process that was started with `own_mounts` before it.

    Raises:
        OSError: nothing may be mounted here.
    """
    path.mkdir(parents=True)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={megabytes}m,mode=0755".encode()
    if libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, options) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    try:
        yield SmallDisk(path)
    finally:
        # Also where something is still open; the namespace ends it for good.
        libc.umount2(os.fsencode(path), _DETACH)


def own_mounts() -> list[str]:
    """What to put before a command so that it may mount disks that nobody else sees.

    Root needs the capability SYS_ADMIN for it, which a container has when it is given; everybody
    else a kernel that lets users have namespaces.
    """
    if os.geteuid() == 0:
        return ["unshare", "--mount"]
    return ["unshare", "--map-current-user", "--keep-caps", "--mount"]

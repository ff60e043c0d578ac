"""Where packages are kept: a directory, or a bucket of an object store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from training.domain import InputError

MANIFEST = "model.yaml"
ROUTING = "routing.yaml"
EVENTS = "events.jsonl"

# Returns the new content of a file for its present one (None: there is no file), or None to leave
# it as it is. May be called again, when somebody else was faster.
Change = Callable[[bytes | None], bytes | None]


class Repository(Protocol):
    """``<name>/<version>/`` with packages, and beside them the files of a model."""

    def location(self, name: str, version: str = "") -> str:
        """Path or URL, for people."""

    def models(self) -> list[str]:
        """Names of the models that have a package, sorted."""

    def versions(self, name: str) -> list[str]:
        """Whole packages of a model; one without its manifest is none."""

    def read(self, name: str, file: str) -> bytes | None:
        """A file of a model (``routing.yaml``, ``1/model.yaml``), or None where there is none."""

    def edit(self, name: str, file: str, change: Change) -> None:
        """Replace a file of a model at once, so that no edit of somebody else is lost.

        Raises StorageError when it cannot be written, or when others are in the way for long.
        """

    def staging(self, name: str, version: str) -> AbstractContextManager[Path]:
        """Give a local directory to write a package into, and make it visible at the end, whole.

        On an error nothing of it is visible. Raises InputError when the version exists, and
        StorageError when it cannot be written.
        """

    def package(self, name: str, version: str) -> AbstractContextManager[Path]:
        """Give a local directory with the files of a package. Raises InputError without one."""


def open_repository(location: str) -> Repository:
    """The repository at a path or ``s3://bucket/prefix``. Raises InputError for another URL."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        from training.local_repository import LocalRepository

        return LocalRepository(Path(location))
    if scheme != "s3" or not rest.strip("/"):
        raise InputError(f"{location}: neither a path nor s3://bucket/prefix")
    from training.s3_repository import S3Repository

    return S3Repository(rest.strip("/"))


def check_free(repository: Repository, name: str, version: str) -> None:
    """Raise InputError when the version exists: records and references point at it."""
    if version in repository.versions(name):
        raise InputError(
            f"{repository.location(name, version)} exists, and a version is immutable: "
            "choose another --version"
        )


def known_versions(repository: Repository, name: str) -> list[str]:
    """The versions of a model. Raises InputError when it has none."""
    versions = repository.versions(name)
    if not versions:
        raise InputError(f"{repository.location(name)}: there is no package")
    return versions


def check_known(repository: Repository, name: str, version: str) -> None:
    """Raise InputError, naming those that exist, unless there is such a version."""
    versions = known_versions(repository, name)
    if version not in versions:
        raise InputError(f"{name} has no version {version}; there are {', '.join(versions)}")

"""A model repository in a bucket that speaks S3; the only importer of s3fs.

There is no rename: a package's manifest is written last, and a package without it is none. Every
file is created on the condition that it is not there, and every edit on the condition that nobody
changed the file since it was read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from training.domain import InputError, StorageError
from training.repository import MANIFEST, Change

# Each try loses only to an edit that succeeded.
TRIES = 20
CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict"}

Result = TypeVar("Result")


class S3Repository:
    """``root`` is ``bucket/prefix``; address and credentials come from AWS's usual settings."""

    def __init__(self, root: str) -> None:
        try:
            # Imported late: it is an extra, and slow.
            import s3fs
        except ImportError as exc:
            raise InputError("an S3 repository needs the extra: weir-training[s3]") from exc
        self._root = root
        # What others wrote must be seen at once. Not fsspec's shared instance: its settings are
        # those of whoever came first.
        self._files: Any = s3fs.S3FileSystem(
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={"connect_timeout": 10, "retries": {"max_attempts": 3}},
        )

    def location(self, name: str, version: str = "") -> str:
        """The URL of a model or of a package."""
        return "s3://" + "/".join(part for part in (self._root, name, version) if part)

    def models(self) -> list[str]:
        """Names of the models that have a package, sorted."""
        found = self._ask(self._root, lambda: self._files.glob(f"{self._root}/*/*/{MANIFEST}"))
        return sorted({str(path).split("/")[-3] for path in found})

    def versions(self, name: str) -> list[str]:
        """Whole packages of a model."""
        found = self._ask(name, lambda: self._files.glob(f"{self._root}/{name}/*/{MANIFEST}"))
        return sorted(str(path).split("/")[-2] for path in found)

    def read(self, name: str, file: str) -> bytes | None:
        """A file of a model, or None where there is none."""
        path = self._path(name, file)

        def ask() -> bytes | None:
            try:
                content: bytes = self._files.cat_file(path)
            except FileNotFoundError:
                return None
            return content

        return self._ask(path, ask)

    def edit(self, name: str, file: str, change: Change) -> None:
        """Replace a file of a model, if it is still the one that was read; else try again."""
        path = self._path(name, file)
        for _ in range(TRIES):
            # The tag is asked for first: an edit between the two questions then fails the put.
            condition = self._ask(path, lambda: self._condition(path))
            content = change(self.read(name, file))
            if content is None:
                return
            try:
                self._put(path, content, condition)
            except _Conflict:
                continue
            return
        raise StorageError(f"s3://{path}: others kept changing it, try again")

    @contextmanager
    def staging(self, name: str, version: str) -> Iterator[Path]:
        """A temporary directory, uploaded at the end with the manifest last."""
        if self.read(name, f"{version}/{MANIFEST}") is not None:
            raise InputError(
                f"{self.location(name, version)} exists, and a version is immutable: "
                "choose another --version"
            )
        try:
            with tempfile.TemporaryDirectory(prefix="weir-package-") as stage:
                yield Path(stage)
                self._upload(Path(stage), name, version)
        except OSError as exc:
            where = self.location(name, version)
            raise StorageError(f"{where}: cannot be written ({exc.strerror or exc})") from exc

    @contextmanager
    def package(self, name: str, version: str) -> Iterator[Path]:
        """A temporary copy of a package."""
        if self.read(name, f"{version}/{MANIFEST}") is None:
            raise InputError(f"{self.location(name, version)}: there is no package")
        with tempfile.TemporaryDirectory(prefix="weir-package-") as copy:
            prefix = self._path(name, version)
            self._ask(prefix, lambda: self._files.get(f"{prefix}/", f"{copy}/", recursive=True))
            yield Path(copy)

    def _upload(self, stage: Path, name: str, version: str) -> None:
        files = sorted(stage.iterdir(), key=lambda path: (path.name == MANIFEST, path.name))
        done: list[str] = []
        try:
            for file in files:
                target = self._path(name, f"{version}/{file.name}")
                self._put(target, file.read_bytes(), {"IfNoneMatch": "*"})
                done.append(target)
        except _Conflict as exc:
            self._remove(done)
            raise InputError(
                f"{self.location(name, version)}: somebody else writes it, or left it half "
                "written: choose another --version"
            ) from exc
        except BaseException:
            self._remove(done)
            raise

    def _remove(self, paths: list[str]) -> None:
        for path in paths:
            try:
                self._files.rm_file(path)
            except OSError:
                # The store is away. What is left has no manifest, and so is no package.
                return

    def _condition(self, path: str) -> dict[str, str]:
        try:
            return {"IfMatch": self._files.info(path, refresh=True)["ETag"]}
        except FileNotFoundError:
            return {"IfNoneMatch": "*"}

    def _put(self, path: str, content: bytes, condition: dict[str, str]) -> None:
        """Write one object under a condition. Raises _Conflict when it does not hold."""
        bucket, key = path.split("/", 1)

        def put() -> object:
            return self._files.call_s3(
                "put_object", Bucket=bucket, Key=key, Body=content, **condition
            )

        self._ask(path, put)

    def _path(self, name: str, file: str) -> str:
        return f"{self._root}/{name}/{file}"

    def _ask(self, path: str, question: Callable[[], Result]) -> Result:
        try:
            return question()
        # s3fs makes OSErrors of most answers; of the rest, botocore's and aiohttp's, it lets pass
        # more kinds than could be named here.
        except Exception as exc:
            _raise(path, exc)


class _Conflict(Exception):
    """Somebody else has written the object."""


def _raise(path: str, error: Exception) -> NoReturn:
    response = getattr(error.__cause__ or error, "response", None) or {}
    if response.get("Error", {}).get("Code") in CONFLICTS:
        raise _Conflict(path) from error
    what = " ".join(str(error).split()) or type(error).__name__
    raise StorageError(f"s3://{path}: {what}") from error

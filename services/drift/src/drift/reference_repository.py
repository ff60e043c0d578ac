"""Reads the references of model packages: `<repository>/<model>/<version>/reference.json`."""

from pathlib import Path

import structlog
from pydantic import ValidationError

from drift.domain import ModelVersion, ReferenceInvalid, ReferenceMissing
from drift.reference_format import LARGEST_REFERENCE, parse_reference
from drift.signals import SignalReference

_log = structlog.get_logger(__name__)

_MOST_CACHED = 20
_FILE = "reference.json"


class ReferenceRepository:
    """References by model version; a file is read again when it has changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[
            ModelVersion, tuple[tuple[int, int], SignalReference | ReferenceInvalid]
        ] = {}

    def find(self, version: ModelVersion) -> SignalReference:
        """The reference of a version. Its names have passed `is_name`.

        Raises:
            ReferenceMissing: there is no such file.
            ReferenceInvalid: it is unreadable, broken or of another model version.
        """
        path = self._root / version.model / version.version / _FILE
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise ReferenceMissing(f"Model version {version} has no reference.") from None
        except OSError as error:
            raise _invalid(version, error.strerror or "it cannot be opened") from error
        identity = (status.st_mtime_ns, status.st_size)
        cached_identity, found = self._read.get(version, (None, None))
        if found is None or cached_identity != identity:
            found = _read(path, status.st_size, version)
            self._read.pop(version, None)
            if len(self._read) >= _MOST_CACHED:
                self._read.pop(next(iter(self._read)))
            self._read[version] = (identity, found)
        if isinstance(found, ReferenceInvalid):
            raise ReferenceInvalid(found.message)
        return found

    def newest_version(self, model: str) -> str | None:
        """The highest version of a model that has a reference; numbers count as numbers."""
        try:
            versions = [file.parent.name for file in (self._root / model).glob(f"*/{_FILE}")]
        except OSError:
            return None
        return max(versions, key=_natural_order, default=None)


def _natural_order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (-1, version)


def _read(path: Path, size: int, version: ModelVersion) -> SignalReference | ReferenceInvalid:
    try:
        if size > LARGEST_REFERENCE:
            raise ValueError("it is too large")
        return parse_reference(path.read_bytes(), version)
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) or _FILE for fault in error.errors()})
        return _logged(version, f"it does not fit the format at {', '.join(places[:5])}")
    except OSError as error:
        return _logged(version, error.strerror or "it cannot be read")
    except ValueError as error:
        return _logged(version, str(error))


def _logged(version: ModelVersion, why: str) -> ReferenceInvalid:
    _log.error("reference_invalid", model=version.model, version=version.version, why=why)
    return _invalid(version, why)


def _invalid(version: ModelVersion, why: str) -> ReferenceInvalid:
    return ReferenceInvalid(f"The reference of model version {version} cannot be used: {why}.")

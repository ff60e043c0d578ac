"""The file that a backup is: a tar of a manifest and of what pg_dump wrote in its custom format.

Without this program: `tar xf FILE`, then `pg_restore` with database.dump.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weir_local.database_facts import DatabaseFacts

_MANIFEST = "manifest.json"
_DUMP = "database.dump"
_FORMAT = 1
_CHUNK = 1 << 20


class BackupError(Exception):
    """A backup cannot be made or used; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    made_at: datetime
    facts: DatabaseFacts
    dump_sha256: str

    def to_json(self) -> bytes:
        """As it stands in the file."""
        content = {
            "format": _FORMAT,
            "made_at": self.made_at.isoformat(),
            "dump_sha256": self.dump_sha256,
            **asdict(self.facts),
        }
        return json.dumps(content, indent=2).encode() + b"\n"


def pack(file: Path, dump: Path, facts: DatabaseFacts, made_at: datetime) -> Manifest:
    """Writes a backup; the file must not be there.

    Raises:
        OSError: it cannot be written.
    """
    manifest = Manifest(made_at.astimezone(UTC), facts, _sha256_of(dump))
    with tarfile.open(file, "x") as tar:
        text = manifest.to_json()
        tar.addfile(_entry(_MANIFEST, len(text), made_at), io.BytesIO(text))
        with dump.open("rb") as source:
            tar.addfile(_entry(_DUMP, dump.stat().st_size, made_at), source)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What the backup says of itself.

    Raises:
        OSError: the file cannot be read.
        BackupError: it is no backup, or one of a later version.
    """
    try:
        with tarfile.open(file) as tar, _member(tar, _MANIFEST) as source:
            return _manifest(json.load(source))
    except (tarfile.TarError, KeyError, TypeError, ValueError, EOFError) as error:
        raise BackupError(f"{file} is no backup of Weir") from error


def unpack(file: Path, target: Path) -> Manifest:
    """Writes the dump in a backup to `target`, having made sure that it is whole.

    Raises:
        OSError: a file cannot be read or written.
        BackupError: it is no backup, or a damaged one.
    """
    manifest = read_manifest(file)
    hashed = hashlib.sha256()
    try:
        with tarfile.open(file) as tar, _member(tar, _DUMP) as source, target.open("xb") as out:
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                out.write(chunk)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BackupError(f"{file} is damaged: {error}") from error
    if hashed.hexdigest() != manifest.dump_sha256:
        raise BackupError(f"{file} is damaged: its database.dump is not what was written")
    return manifest


def _manifest(content: Mapping[str, Any]) -> Manifest:
    if content["format"] != _FORMAT:
        raise BackupError(f"the backup's format is {content['format']}, not {_FORMAT}")
    facts = DatabaseFacts(
        server=content["server"],
        revision=content["revision"],
        rows=content["rows"],
        audit_batches=content["audit_batches"],
        audit_head=content["audit_head"],
        roles=content["roles"],
    )
    made_at = datetime.fromisoformat(content["made_at"])
    return Manifest(made_at, facts, content["dump_sha256"])


def _member(tar: tarfile.TarFile, name: str) -> "io.BufferedReader | Any":
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member


def _entry(name: str, size: int, made_at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(made_at.timestamp()), 0o600
    return entry


def _sha256_of(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()

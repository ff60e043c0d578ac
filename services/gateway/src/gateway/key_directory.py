"""The directory that signing keys lie in: one PEM file each, and a manifest that gives their times.

    manifest.json   {"format": 1, "keys": [{"key_id", "file", "published_at", "signs_from"}]}
    <key id>.pem    a P-256 private key

Without a manifest the directory holds one PEM file, whose key signs. What the manifest does not
name is not looked at. `python -m gateway rotate-signing-key` alone writes here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.signing_keys import (
    CURVE,
    PUBLISHED_MAX_AGE,
    KeyRing,
    SigningKey,
    SigningKeyInvalid,
)
from servicekit.lifecycle import running_beside

_log = structlog.get_logger(__name__)
MANIFEST = "manifest.json"
_LOOK_EVERY = 2.0
"""Seconds."""


class KeyEntry(BaseModel):
    """A key as the manifest states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_id: str
    """The thumbprint of the public key (RFC 7638)."""
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")]
    published_at: AwareDatetime
    signs_from: AwareDatetime


class Manifest(BaseModel):
    """Which keys there are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    keys: Annotated[tuple[KeyEntry, ...], Field(min_length=1, max_length=16)]


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest; None when the directory holds no key at all.

    Raises:
        SigningKeyInvalid: it cannot be read, or makes a key sign that verifiers may not have yet.
    """
    file = directory / MANIFEST
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return _of_one_file(directory)
    except OSError as error:
        raise SigningKeyInvalid(f"the signing keys cannot be read: {error}") from error
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise SigningKeyInvalid(f"{file}: {where}: {fault['msg']}") from error
    ordered = sorted(manifest.keys, key=lambda entry: entry.signs_from)
    for entry in ordered[1:]:
        if (entry.signs_from - entry.published_at).total_seconds() < PUBLISHED_MAX_AGE:
            raise SigningKeyInvalid(
                f"{file}: {entry.file} signs less than {PUBLISHED_MAX_AGE} s after it is published"
            )
    if len({entry.key_id for entry in ordered}) < len(ordered):
        raise SigningKeyInvalid(f"{file}: a key is there twice")
    return manifest


def load_keys(directory: Path) -> list[SigningKey]:
    """The keys in the directory.

    Raises:
        SigningKeyInvalid: there is none, or one cannot be used.
    """
    manifest = read_manifest(directory)
    while manifest is not None:
        try:
            return [_load(directory, entry) for entry in manifest.keys]
        except SigningKeyInvalid:
            # A rotation may have come between: the manifest, then files that it does not name.
            seen, manifest = manifest, read_manifest(directory)
            if manifest == seen:
                raise
    raise SigningKeyInvalid(
        f"{directory} holds no signing key; "
        f"python -m gateway rotate-signing-key --directory {directory} makes one"
    )


class KeyDirectoryWatch:
    """Keeps a ring to what a directory holds; while that is broken the last good keys stay."""

    def __init__(self, directory: Path, ring: KeyRing, seen: Sequence[SigningKey]) -> None:
        self._directory = directory
        self._ring = ring
        self._seen = _fingerprint(seen)
        self._fault = ""

    def look(self) -> None:
        """Takes the keys over if they have changed."""
        self._take(self._read())

    def _read(self) -> list[SigningKey] | SigningKeyInvalid:
        try:
            return load_keys(self._directory)
        except SigningKeyInvalid as error:
            return error

    def _take(self, keys: list[SigningKey] | SigningKeyInvalid) -> None:
        if isinstance(keys, SigningKeyInvalid):
            if self._fault != str(keys):
                _log.error("signing_keys_broken", reason=str(keys), kept=len(self._seen))
            self._fault = str(keys)
            return
        found = _fingerprint(keys)
        if found != self._seen:
            self._ring.replace(keys)
            self._seen = found
            states = {key: str(state) for key, state in self._ring.states().items()}
            _log.info("signing_keys_changed", keys=states)
        elif self._fault:
            _log.info("signing_keys_whole_again")
        self._fault = ""

    async def follow(self, *, interval: float = _LOOK_EVERY) -> None:
        """Looks every `interval` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval)
            # In a thread: the directory may be one on a network that hangs.
            self._take(await asyncio.to_thread(self._read))


@asynccontextmanager
async def followed_signing_keys(directory: Path) -> AsyncIterator[KeyRing]:
    """The keys in the directory, as new as it is until the context ends.

    Raises:
        SigningKeyInvalid: there is none, or one cannot be used.
    """
    ring = KeyRing(keys := load_keys(directory))
    async with running_beside(KeyDirectoryWatch(directory, ring, keys).follow()):
        yield ring


def _of_one_file(directory: Path) -> Manifest | None:
    try:
        files = sorted(directory.glob("*.pem"))
        if not files:
            return None
        if len(files) > 1:
            raise SigningKeyInvalid(f"{directory} holds several keys and no {MANIFEST}")
        since = datetime.fromtimestamp(int(files[0].stat().st_mtime), UTC)
    except OSError as error:
        raise SigningKeyInvalid(f"the signing keys cannot be read: {error}") from error
    entry = KeyEntry(
        key_id=_read_key(files[0]).thumbprint(),
        file=files[0].name,
        published_at=since,
        signs_from=since,
    )
    return Manifest(keys=(entry,))


def _load(directory: Path, entry: KeyEntry) -> SigningKey:
    file = directory / entry.file
    key = SigningKey(
        _read_key(file),
        published_at=entry.published_at.timestamp(),
        signs_from=entry.signs_from.timestamp(),
    )
    if key.key_id != entry.key_id:
        raise SigningKeyInvalid(f"{file} holds another key than the {MANIFEST} says")
    return key


def _read_key(file: Path) -> ECKey:
    try:
        key = ECKey.import_key(file.read_bytes())
    except OSError as error:
        raise SigningKeyInvalid(f"the signing key cannot be read: {error}") from error
    except (JoseError, ValueError, TypeError) as error:
        raise SigningKeyInvalid(f"{file} holds no PEM key") from error
    if key.curve_name != CURVE or not key.is_private:
        raise SigningKeyInvalid(f"{file} holds no {CURVE} private key")
    return key


def _fingerprint(keys: Sequence[SigningKey]) -> frozenset[tuple[str, float, float]]:
    return frozenset((key.key_id, key.published_at, key.signs_from) for key in keys)

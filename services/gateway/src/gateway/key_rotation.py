"""Changes the keys in a directory, for gateways that read it at the same time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from joserfc.jwk import ECKey

from gateway.key_directory import MANIFEST, KeyEntry, Manifest, load_keys, read_manifest
from gateway.signing_keys import CURVE, PUBLISHED_MAX_AGE, KeyState, states_of

DEFAULT_LEAD = timedelta(minutes=10)
"""The published keys' max-age, and what a mounted Secret takes to reach every gateway."""


class LeadTooShort(Exception):
    """Verifiers could meet the new key's tokens before the key."""


def rotate(
    directory: Path,
    *,
    now: datetime | None = None,
    lead: timedelta = DEFAULT_LEAD,
    if_older_than: timedelta = timedelta(0),
) -> dict[str, KeyState]:
    """Drops what has retired and, unless there is one, adds the next key; tells each key's state.

    The first key of a directory, which is made if need be, signs at once: nobody waits for it.

    Args:
        lead: after how long the new key signs.
        if_older_than: adds none while the current key has signed for less.

    Raises:
        LeadTooShort: `lead` is less than verifiers may keep the published keys for.
        SigningKeyInvalid: what is there cannot be used; nothing was changed.
        OSError: the directory cannot be written.
    """
    if lead.total_seconds() < PUBLISHED_MAX_AGE:
        raise LeadTooShort(f"verifiers keep the published keys for up to {PUBLISHED_MAX_AGE} s")
    with _locked(directory):
        moment = now or datetime.now(UTC)
        manifest = read_manifest(directory)
        if manifest is None:
            _replace(directory, [], [_new_entry(directory, moment, moment)])
            return _states(directory, moment)
        states = _states(directory, moment)
        kept = [entry for entry in manifest.keys if entry.key_id in states]
        is_prepared = KeyState.NEXT in states.values()
        since = max((e.signs_from for e in kept if e.signs_from <= moment), default=moment)
        wanted = list(kept)
        if not is_prepared and moment - since >= if_older_than:
            wanted.append(_new_entry(directory, moment, moment + lead))
        _replace(directory, list(manifest.keys), wanted)
        return _states(directory, moment)


def take_over(directory: Path, source: Path) -> None:
    """Gives a directory without keys those of another: what they signed stays good.

    Raises:
        SigningKeyInvalid: what is in either cannot be used; nothing was changed.
        OSError: the directory cannot be written.
    """
    with _locked(directory):
        if read_manifest(directory) is not None or (manifest := read_manifest(source)) is None:
            return
        contents = {entry.file: (source / entry.file).read_bytes() for entry in manifest.keys}
        for name, content in contents.items():
            _write(directory / name, content)
        _write(directory / MANIFEST, manifest.model_dump_json(indent=2).encode())


def replace_compromised(directory: Path, *, now: datetime | None = None) -> dict[str, KeyState]:
    """Makes a key that signs at once and drops all others: what they signed is good no more.

    Raises:
        OSError: the directory cannot be written.
    """
    with _locked(directory):
        moment = now or datetime.now(UTC)
        entry = _new_entry(directory, moment, moment)
        _write(directory / MANIFEST, Manifest(keys=(entry,)).model_dump_json(indent=2).encode())
        for file in directory.glob("*.pem"):
            if file.name != entry.file:
                file.unlink()
        return _states(directory, moment)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One at a time; readers are not kept out, for every file changes in one step."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new_entry(directory: Path, published_at: datetime, signs_from: datetime) -> KeyEntry:
    key = ECKey.generate_key(CURVE)
    key_id = key.thumbprint()
    _write(directory / f"{key_id}.pem", key.as_pem(private=True))
    return KeyEntry(
        key_id=key_id, file=f"{key_id}.pem", published_at=published_at, signs_from=signs_from
    )


def _replace(directory: Path, known: list[KeyEntry], wanted: list[KeyEntry]) -> None:
    if known != wanted or not (directory / MANIFEST).exists():
        content = Manifest(keys=tuple(wanted)).model_dump_json(indent=2)
        _write(directory / MANIFEST, content.encode())
    # Only then: a reader must never find a manifest that names a file which is gone.
    for entry in known:
        if entry not in wanted:
            (directory / entry.file).unlink(missing_ok=True)


def _write(file: Path, content: bytes) -> None:
    """Puts the file there whole, readable by its owner alone, and on the disk."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)


def _states(directory: Path, now: datetime) -> dict[str, KeyState]:
    return states_of(load_keys(directory), now.timestamp())

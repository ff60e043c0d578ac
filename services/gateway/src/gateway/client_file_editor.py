"""Adds clients and API keys to the clients file."""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gateway.api_key_format import NewApiKey, new_api_key, new_key_id
from gateway.client_entries import (
    ClientEntry,
    ClientsFile,
    ClientsFileInvalid,
    KeyEntry,
    contradiction,
    parse_clients,
)
from gateway.quota_entries import QuotaEntry
from gateway.secret_hashes import load_pepper

_SECRET_BYTES = 32


def create_client(
    clients_file: Path,
    pepper_file: Path,
    *,
    client_id: str,
    tenant: str,
    scopes: Sequence[str] = (),
    roles: Sequence[str] = (),
    public_keys: Sequence[Mapping[str, Any]] = (),
    quotas: Sequence[tuple[int, int]] = (),
    replace: bool = False,
) -> str:
    """Adds a client and returns its secret, which is kept nowhere.

    The file is replaced as a whole, so a gateway that reads it meanwhile sees one state or the
    other. Comments in it are lost.

    Args:
        public_keys: JWKs; a client that has any proves itself by them and gets no secret.
        quotas: pairs of a limit and a window in seconds.
        replace: whether a client of that id may be there; its old secret ends.

    Returns:
        The secret; empty where it has none.

    Raises:
        ClientsFileInvalid: a file cannot be used, or the client exists and may not be replaced.
        PepperInvalid: the pepper is there and cannot be used.
        ValidationError: the new client is wrong in itself.
    """
    secret = "" if public_keys else secrets.token_urlsafe(_SECRET_BYTES)
    with _only_editor_of(clients_file.parent):
        content = parse_clients(clients_file) if clients_file.exists() else ClientsFile()
        others = [entry for entry in content.clients if entry.client_id != client_id]
        if len(others) < len(content.clients) and not replace:
            raise ClientsFileInvalid(f"{clients_file} has a client {client_id} already")
        _create_pepper_if_missing(pepper_file)
        pepper = load_pepper(pepper_file)
        entry = ClientEntry(
            client_id=client_id,
            tenant=tenant,
            secret_hashes=[pepper.hash(secret)] if secret else [],
            public_keys=[dict(key) for key in public_keys],
            scopes=list(scopes),
            roles=list(roles),
            quotas=[QuotaEntry(limit=limit, window_seconds=window) for limit, window in quotas],
        )
        _change(clients_file, content, clients=[*others, entry])
    return secret


def create_key(
    clients_file: Path,
    pepper_file: Path,
    *,
    client_id: str,
    scopes: Sequence[str],
    name: str = "",
    expires_at: datetime | None = None,
) -> NewApiKey:
    """Adds an API key of a client of the file and returns it; its text is kept nowhere.

    Raises:
        ClientsFileInvalid: the file cannot be used, has no such client, or that one does not hold
            the scopes.
        PepperInvalid: the pepper cannot be used.
        ValidationError: the new key is wrong in itself.
    """
    key = new_api_key(new_key_id())
    with _only_editor_of(clients_file.parent):
        content = parse_clients(clients_file)
        entry = KeyEntry(
            key_id=key.key_id,
            client_id=client_id,
            name=name,
            secret_hashes=[load_pepper(pepper_file).hash(key.text)],
            scopes=list(scopes),
            expires_at=expires_at,
        )
        _change(clients_file, content, keys=[*content.keys, entry])
    return key


@contextmanager
def _only_editor_of(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create_pepper_if_missing(file: Path) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(secrets.token_hex(32) + "\n")


def _change(file: Path, content: ClientsFile, **fields: Any) -> None:
    changed = content.model_copy(update=fields)
    if fault := contradiction(changed):
        raise ClientsFileInvalid(fault)
    _write(file, changed)


def _write(file: Path, content: ClientsFile) -> None:
    text = yaml.safe_dump(content.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    # mkstemp makes the file for its owner alone.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Adds clients to the clients file."""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from gateway.client_registry import (
    ClientEntry,
    ClientsFile,
    ClientsFileInvalid,
    QuotaEntry,
    hash_secret,
    load_pepper,
    parse_clients,
)

_SECRET_BYTES = 32


def create_client(
    clients_file: Path,
    pepper_file: Path,
    *,
    client_id: str,
    tenant: str,
    scopes: Sequence[str],
    quotas: Sequence[tuple[int, int]] = (),
    replace: bool = False,
) -> str:
    """Adds a client and returns its secret, which is kept nowhere.

    The file is replaced as a whole, so a gateway that reads it meanwhile sees one state or the
    other. Comments in it are lost.

    Args:
        quotas: pairs of a limit and a window in seconds.
        replace: whether a client of that id may be there; its old secret ends.

    Raises:
        ClientsFileInvalid: a file cannot be used, or the client exists and may not be replaced.
        ValidationError: the new client is wrong in itself.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with _only_editor_of(clients_file.parent):
        content = parse_clients(clients_file) if clients_file.exists() else ClientsFile()
        others = [entry for entry in content.clients if entry.client_id != client_id]
        if len(others) < len(content.clients) and not replace:
            raise ClientsFileInvalid(f"{clients_file} has a client {client_id} already")
        _create_pepper_if_missing(pepper_file)
        entry = ClientEntry(
            client_id=client_id,
            tenant=tenant,
            secret_hashes=[hash_secret(load_pepper(pepper_file), secret)],
            scopes=list(scopes),
            quotas=[QuotaEntry(limit=limit, window_seconds=window) for limit, window in quotas],
        )
        _write(clients_file, ClientsFile(tenants=content.tenants, clients=[*others, entry]))
    return secret


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

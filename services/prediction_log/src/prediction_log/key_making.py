"""`create-keys`: makes the secrets of the log, and the public keys that others need."""

import base64
import json
import os
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from prediction_log.key_files import load_opening_keys
from prediction_log.master_keys import KEY_BYTES, read_master_keys

PRIVATE_KEY = "input-sealing-private-key.pem"
PUBLIC_KEY = "input-sealing-key.pem"
MASTER_KEYS = "master-keys.json"
AUDIT_SIGNING_KEY = "audit-signing-key.pem"
AUDIT_PUBLIC_KEY = "audit-public-key.pem"
PSEUDONYM_KEY = "subject-secret"
_SECRET_BYTES = 32


def create_keys(directory: Path, *, new_master_key: bool = False) -> list[Path]:
    """Makes what is missing, readable by its owner alone; returns what was written.

    Args:
        new_master_key: whether to add a master key, and make it the current one, where the file
            is there already.

    Raises:
        OSError: a file cannot be written.
        KeyFileInvalid: a file that is there cannot be used.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    private, public = directory / PRIVATE_KEY, directory / PUBLIC_KEY
    if not private.exists():
        pem = X25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        _write(private, pem)
        written.append(private)
    if not public.exists() or private in written:
        key = load_opening_keys(private)[0].public_key()
        _write(public, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        written.append(public)
    written += _make_audit_keys(directory / AUDIT_SIGNING_KEY, directory / AUDIT_PUBLIC_KEY)
    secret = directory / PSEUDONYM_KEY
    if not secret.exists():
        _write(secret, secrets.token_hex(_SECRET_BYTES).encode() + b"\n")
        written.append(secret)
    master = directory / MASTER_KEYS
    if new_master_key or not master.exists():
        _add_master_key(master)
        written.append(master)
    return written


def _make_audit_keys(private: Path, public: Path) -> list[Path]:
    if private.exists():
        return []
    key = Ed25519PrivateKey.generate()
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(public, pem)
    return [private, public]


def _add_master_key(file: Path) -> None:
    keys: dict[str, bytes] = read_master_keys(file)["keys"] if file.exists() else {}
    name = f"{datetime.now(UTC):%Y-%m-%d}-{secrets.token_hex(4)}"
    keys[name] = secrets.token_bytes(KEY_BYTES)
    encoded = {name: base64.b64encode(key).decode() for name, key in keys.items()}
    content = json.dumps({"current": name, "keys": encoded}, indent=2)
    _write(file, content.encode() + b"\n")


def _write(file: Path, content: bytes) -> None:
    """Replaces the file as a whole, so that those who read it see one state or the other."""
    # mkstemp makes the file for its owner alone.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

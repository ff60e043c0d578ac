"""The master keys, and the keys of subjects that they wrap."""

import base64
import binascii
import json
import os
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from prediction_log.domain import MAX_NAME
from prediction_log.errors import InputDamaged, MasterKeyMissing
from prediction_log.key_files import KeyFileInvalid

_log = structlog.get_logger(__name__)

KEY_BYTES = 32
_NONCE_BYTES = 12


class MasterKeys:
    """The keys of a file `{"current": name, "keys": {name: base64 of 32 bytes}}`.

    The file is read again when it changes, so that a new current key reaches running services. One
    that cannot be read any more leaves the keys as they were.

    Raises:
        KeyFileInvalid: the file cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = _version(file)
        self.current, self._ciphers = _read(file)
        """Name of the key that new keys are wrapped with."""

    def refresh(self) -> None:
        """Reads the file again if it is another one than last time."""
        try:
            version = _version(self._file)
            if version == self._seen:
                return
            self._seen = version
            self.current, self._ciphers = _read(self._file)
        except (OSError, KeyFileInvalid) as error:
            _log.error("master_keys_not_reread", reason=str(error))
        else:
            _log.info("master_keys_reread", current=self.current, keys=len(self._ciphers))

    def wrap(self, key: bytes, key_id: UUID, tenant: str) -> bytes:
        """The key under the current master key, bound to its id and tenant."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[self.current].encrypt(nonce, key, _binding(key_id, tenant))

    def unwrap(self, master_key: str, wrapped: bytes, key_id: UUID, tenant: str) -> bytes:
        """The key again.

        Raises:
            MasterKeyMissing: the file holds no master key of that name.
            InputDamaged: it was not wrapped with that master key, id and tenant.
        """
        cipher = self._ciphers.get(master_key)
        if cipher is None:
            _log.error("master_key_missing", master_key=master_key)
            raise MasterKeyMissing("A key that the answer needs is missing.", retry_after=60.0)
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _binding(key_id, tenant))
        except (InvalidTag, ValueError) as error:
            _log.error("wrapped_key_damaged", master_key=master_key, key_id=str(key_id))
            raise InputDamaged("A key that the answer needs is damaged.") from error


def _binding(key_id: UUID, tenant: str) -> bytes:
    return b"weir subject key " + key_id.bytes + tenant.encode()


def _version(file: Path) -> tuple[int, int, int]:
    found = os.stat(file)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(file: Path) -> tuple[str, dict[str, AESGCM]]:
    content = read_master_keys(file)
    return content["current"], {name: AESGCM(key) for name, key in content["keys"].items()}


def read_master_keys(file: Path) -> dict[str, Any]:
    """The file's content, checked, with the keys as bytes.

    Raises:
        OSError: it is not there.
        KeyFileInvalid: it is of another form; the message repeats nothing of it.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
        current, encoded = content["current"], dict(content["keys"])
        keys = {name: base64.b64decode(value, validate=True) for name, value in encoded.items()}
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise KeyFileInvalid(f"{file} is no file of master keys") from error
    if current not in keys:
        raise KeyFileInvalid(f"{file} lacks the master key that it calls current")
    if any(len(key) != KEY_BYTES for key in keys.values()):
        raise KeyFileInvalid(f"{file} holds a master key that is not {KEY_BYTES} bytes long")
    if any(not 0 < len(name) <= MAX_NAME for name in keys):
        raise KeyFileInvalid(f"{file} holds a name that is empty or too long")
    return {"current": current, "keys": keys}

"""Reads the files that hold the log's own secrets."""

import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_SECRET_BYTES = 32
_PEM_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


class KeyFileInvalid(Exception):
    """A file of keys cannot be used; the message names the file and nothing that is in it."""


def load_subject_secret(file: Path) -> bytes:
    """The key of the subjects' pseudonyms.

    Raises:
        OSError: the file is not there.
        KeyFileInvalid: it holds less than 32 bytes of hex.
    """
    try:
        secret = bytes.fromhex(file.read_text("ascii").strip())
    except ValueError as error:
        raise KeyFileInvalid(f"{file} is not hex") from error
    if len(secret) < _SECRET_BYTES:
        raise KeyFileInvalid(f"{file} holds less than {_SECRET_BYTES} bytes")
    return secret


def load_opening_keys(file: Path) -> list[X25519PrivateKey]:
    """The private keys that open sealed inputs: one, or several while one takes another's place.

    Raises:
        OSError: the file is not there.
        KeyFileInvalid: it holds no X25519 private key as PEM, or something else.
    """
    blocks = _PEM_BLOCK.findall(file.read_bytes())
    try:
        keys = [load_pem_private_key(block, password=None) for block in blocks]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileInvalid(f"{file} is no private key as PEM") from error
    opening = [key for key in keys if isinstance(key, X25519PrivateKey)]
    if not opening or len(opening) < len(keys):
        raise KeyFileInvalid(f"{file} is no X25519 private key as PEM")
    return opening

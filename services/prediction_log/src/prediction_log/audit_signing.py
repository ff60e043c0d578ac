"""Ed25519 keys that sign what is said of the audit trail (RFC 8032; PEM as OpenSSL writes it)."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from prediction_log.audit_chain import (
    AuditCheckpoint,
    AuditPruning,
    ChainHead,
    checkpoint_bytes,
)
from prediction_log.key_files import KeyFileInvalid


class AuditSigner:
    """Signs checkpoints."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = _key_id(key.public_key())

    def sign(self, number: int, sha256: bytes, made_at: datetime) -> AuditCheckpoint:
        """The checkpoint of a batch."""
        signature = self._key.sign(checkpoint_bytes(number, sha256, made_at))
        return AuditCheckpoint(number, sha256, made_at, self.key_id, signature)

    def sign_pruning(
        self, last: ChainHead, recorded_before: datetime, made_at: datetime
    ) -> AuditPruning:
        """The statement that the trail up to a batch leaves."""
        place = (last.number, last.last_sequence, last.sha256)
        unsigned = AuditPruning(*place, recorded_before, made_at, self.key_id, b"")
        return replace(unsigned, signature=self._key.sign(unsigned.signed_bytes()))


class AuditVerifier:
    """Knows the public keys that checkpoints may be signed with."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {_key_id(key): key for key in keys}

    def knows(self, key_id: str) -> bool:
        """Whether the key is one of them."""
        return key_id in self._keys

    def good(self, signed: AuditCheckpoint | AuditPruning) -> bool:
        """Whether the key that it names made the signature."""
        try:
            self._keys[signed.key_id].verify(signed.signature, signed.signed_bytes())
        except (InvalidSignature, KeyError):
            return False
        return True


def load_signer(file: Path) -> AuditSigner:
    """Reads a private key.

    Raises:
        OSError: the file is not there.
        KeyFileInvalid: it holds no Ed25519 private key as PEM.
    """
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileInvalid(f"{file} is no private key as PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileInvalid(f"{file} is no Ed25519 private key")
    return AuditSigner(key)


def load_verifier(files: Iterable[Path]) -> AuditVerifier:
    """Reads public keys.

    Raises:
        OSError: a file is not there.
        KeyFileInvalid: one holds no Ed25519 public key as PEM.
    """
    return AuditVerifier([_load_public(file) for file in files])


def _load_public(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileInvalid(f"{file} is no public key as PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileInvalid(f"{file} is no Ed25519 public key")
    return key


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]

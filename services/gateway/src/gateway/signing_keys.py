"""The key that signs access tokens, and the public half that everybody may have."""

import os
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

CURVE = "P-256"


class SigningKeyInvalid(Exception):
    """The key file cannot be used; the message says why and holds nothing of the key."""


class KeyRing:
    """The gateway's signing key; a source of keys for its own verifier, too."""

    def __init__(self, key: ECKey) -> None:
        self.key = key
        self.key_id = key.thumbprint()
        public = ECKey.import_key(
            dict(key.as_dict(private=False)) | {"kid": self.key_id, "use": "sig", "alg": "ES256"}
        )
        self._jwks = dict(KeySet([public]).as_dict(private=False))

    async def find(self, key_id: str) -> ECKey | None:
        """The key of that id, None for any other."""
        return self.key if key_id == self.key_id else None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517)."""
        return self._jwks


def create_signing_key(file: Path) -> str:
    """Writes a new private key, readable by its owner alone; returns its key id.

    Raises:
        FileExistsError: there is a file already; it stays as it is.
    """
    key = ECKey.generate_key(CURVE)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(key.as_pem(private=True))
    return key.thumbprint()


def load_key_ring(file: Path) -> KeyRing:
    """Reads the private key that `create_signing_key` wrote.

    Raises:
        SigningKeyInvalid: the file is missing, unreadable or holds no P-256 private key.
    """
    try:
        key = ECKey.import_key(file.read_bytes())
    except OSError as error:
        raise SigningKeyInvalid(f"the signing key cannot be read: {error}") from error
    except (JoseError, ValueError, TypeError) as error:
        raise SigningKeyInvalid(f"{file} holds no PEM key") from error
    if key.curve_name != CURVE or not key.is_private:
        raise SigningKeyInvalid(f"{file} holds no {CURVE} private key")
    return KeyRing(key)

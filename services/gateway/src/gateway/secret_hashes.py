"""What is kept of a secret, and how one is recognised."""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

HASH_PREFIX = "hmac-sha256:"
HASH_PATTERN = rf"^{HASH_PREFIX}[0-9a-f]{{64}}$"
_NO_HASH = HASH_PREFIX + "0" * 64
_MIN_BYTES = 32


class PepperInvalid(Exception):
    """The pepper cannot be used; the message says why."""


class Pepper:
    """The key of the secrets' hashes, and the one before it while it is being replaced.

    New hashes are made with the first. To replace it: put a new line above the old one, give every
    client a new secret, take the old line away.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = keys

    @property
    def newest(self) -> bytes:
        """The key of new hashes."""
        return self._keys[0]

    def hash(self, secret: str) -> str:
        """What is kept of a secret."""
        return hash_secret(self.newest, secret)

    def matches(self, secret: str, hashes: Sequence[str]) -> bool:
        """Whether the secret is one of these.

        None and one cost what two do, the most that rotation leaves a client with, so that the
        time taken does not tell who exists.
        """
        known = (*hashes, _NO_HASH, _NO_HASH)[: max(2, len(hashes))]
        offered = [hash_secret(key, secret) for key in self._keys]
        matches = [hmac.compare_digest(mine, one) for mine in offered for one in known]
        return any(matches)


def hash_secret(pepper: bytes, secret: str) -> str:
    """A secret's hash.

    Secrets are random, so a fast keyed hash is enough: there is no dictionary to try.
    """
    mac = hmac.new(pepper, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return HASH_PREFIX + mac.hexdigest()


def load_pepper(file: Path) -> Pepper:
    """Reads the pepper: one line of hex, or two while it is being replaced, the new one first.

    Raises:
        PepperInvalid: the file is missing, or a line is no hex of 32 bytes or more.
    """
    try:
        lines = file.read_text("ascii").split()
        keys = [bytes.fromhex(line) for line in lines]
    except OSError as error:
        raise PepperInvalid(f"the pepper cannot be read: {error}") from error
    except ValueError as error:
        raise PepperInvalid(f"the pepper {file} is not hex") from error
    if not 1 <= len(keys) <= 2:
        raise PepperInvalid(f"the pepper {file} holds {len(keys)} lines; one or two are taken")
    if min(map(len, keys)) < _MIN_BYTES:
        raise PepperInvalid(f"the pepper {file} holds less than {_MIN_BYTES} bytes in a line")
    return Pepper(*keys)

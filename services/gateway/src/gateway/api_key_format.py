"""The text of an API key: `weir_live_<id>_<secret><crc>`.

For whoever scans for leaked ones: `weir_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}`. The last six
characters are the CRC-32 (as in zlib) of all that is before them, as a number in base 62 with the
digits 0-9, A-Z, a-z, the most significant first, filled up with zeros: a text that merely looks
like a key fails on it and nobody need be asked. The twelve of the id may be logged; the 43 of the
secret are 256 bits of chance.
"""

import re
import secrets
import zlib
from dataclasses import dataclass, field

PREFIX = "weir_live_"
KEY_ID = r"^[0-9A-Za-z]{12}$"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 12
_SECRET_LENGTH = 43
_CRC_LENGTH = 6
_PATTERN = re.compile(r"weir_live_([0-9A-Za-z]{12})_[0-9A-Za-z]{43}([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made; its text is shown once and kept nowhere."""

    key_id: str
    text: str = field(repr=False)


def new_key_id() -> str:
    """An id that no other key has."""
    return _random(_ID_LENGTH)


def new_api_key(key_id: str) -> NewApiKey:
    """A key of that id with a new secret."""
    body = f"{PREFIX}{key_id}_{_random(_SECRET_LENGTH)}"
    return NewApiKey(key_id, body + _checksum(body))


def key_id_of(text: str) -> str | None:
    """The id in a key's text; None where it is no key's text, by its shape or its checksum."""
    match = _PATTERN.fullmatch(text)
    if match is None or _checksum(text[:-_CRC_LENGTH]) != match[2]:
        return None
    return match[1]


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(_CRC_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

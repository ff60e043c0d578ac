"""Names people without naming them."""

import hashlib
import hmac


class Pseudonyms:
    """Turns a subject into a digest that the same subject of the same tenant always gets.

    HMAC-SHA256 (RFC 2104): without the secret nobody can try names until one fits.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def digest(self, tenant: str, subject: str) -> bytes:
        """32 bytes."""
        owner = tenant.encode()
        # With its length in front, no tenant and subject run together like two others.
        message = len(owner).to_bytes(4, "big") + owner + subject.encode()
        return hmac.new(self._secret, message, hashlib.sha256).digest()

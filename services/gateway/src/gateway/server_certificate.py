"""The certificate that the gateway shows, read anew when its files change."""

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.x509 import Certificate, load_pem_x509_certificates

from servicekit.certificates import EXPIRES
from servicekit.lifecycle import every

_log = structlog.get_logger(__name__)

_Mark = tuple[tuple[int, int, int], ...]


class CertificateInvalid(Exception):
    """The certificate or its key cannot be used; the message says why and names the file."""


class ServerCertificate:
    """A certificate with its key; connections that are open keep what they began with.

    Args:
        certificate: PEM, the server's own first, then those that lead to its root.
        key: PEM, without a passphrase.
        interval: seconds between two looks at the files.

    Raises:
        CertificateInvalid: they cannot be used.
    """

    def __init__(self, certificate: Path, key: Path, *, interval: float = 5.0) -> None:
        self._certificate = certificate
        self._key = key
        self._interval = interval
        self._mark = self._look()
        self.context = _context()
        self._load()

    async def follow(self) -> None:
        """Reads the files anew whenever they change, for ever; what is not good is not used."""
        await every(self._interval, self.refresh)

    async def refresh(self) -> None:
        """Reads the files anew if they have changed."""
        try:
            mark = self._look()
            if mark == self._mark:
                return
            self._mark = mark
            self._load()
        except CertificateInvalid as error:
            _log.error("certificate_not_renewed", reason=str(error))

    def _look(self) -> _Mark:
        try:
            found = [os.stat(path) for path in (self._certificate, self._key)]
        except OSError as error:
            raise CertificateInvalid(f"{error.filename}: {error.strerror}") from error
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)

    def _load(self) -> None:
        # Tried apart: a pair that does not match must not replace one that does.
        self._load_into(_context())
        certificate = self._read()
        self._load_into(self.context)
        expires = certificate.not_valid_after_utc
        EXPIRES.labels("http").set(expires.timestamp())
        write = _log.info if expires > datetime.now(UTC) else _log.error
        write("certificate_loaded", file=str(self._certificate), expires=expires.isoformat())

    def _load_into(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_passphrase)
        except ssl.SSLError as error:
            why = error.reason or "not PEM"
            raise CertificateInvalid(
                f"{self._certificate} and {self._key} are no pair of certificate and key: {why}"
            ) from error
        except OSError as error:
            raise CertificateInvalid(
                f"{self._certificate}, {self._key}: {error.strerror}"
            ) from error

    def _read(self) -> Certificate:
        try:
            return load_pem_x509_certificates(self._certificate.read_bytes())[0]
        except (OSError, ValueError) as error:
            raise CertificateInvalid(f"{self._certificate}: {error}") from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The server chooses, and forward secrecy with authenticated encryption is all it chooses from.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_passphrase() -> str:
    """Asked for where a key is encrypted; OpenSSL would ask the terminal."""
    return ""

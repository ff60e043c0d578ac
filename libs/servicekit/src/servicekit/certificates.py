"""Certificates and keys in PEM files: checked before use, and read again when they change."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from prometheus_client import Gauge

_log = structlog.get_logger(__name__)

EXPIRES = Gauge(
    "weir_certificate_expires_timestamp_seconds",
    "When a certificate in use expires, seconds since the epoch: the one shown over http, and those"
    " of grpc_server and grpc_client with the authorities that they believe, whichever ends first.",
    ["use"],
)
_LOOK_AGAIN = 1.0
"""Seconds between two looks whether files have changed."""


class CertificateInvalid(OSError):
    """A file of certificates or keys cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where they are. None for what is not used; a key comes with its certificate.

    Attributes:
        use: what the metric calls them.
        certificate: our own, and those between it and the authority's.
        authorities: whose certificates are believed of others.
    """

    use: str
    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """The files that are used."""
        return tuple(path for path in (self.certificate, self.key, self.authorities) if path)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What is in the files, PEM; None for what is not used."""

    chain: bytes | None
    key: bytes | None
    authorities: bytes | None


class WatchedCertificates:
    """What is in the files now; while that cannot be used, what was there before.

    Raises:
        CertificateInvalid: at the start, they cannot be used.
    """

    def __init__(
        self,
        files: CertificateFiles,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_again: float = _LOOK_AGAIN,
    ) -> None:
        self._files = files
        self._clock = clock
        self._look_again = look_again
        self._next_look = clock() + look_again
        self._seen = _state_of(files)
        self._failing = False
        self.current = load(files)

    def changed(self) -> bool:
        """Whether `current` is another one than at the last call; looks once a second at most."""
        if self._clock() < self._next_look:
            return False
        self._next_look = self._clock() + self._look_again
        state = _state_of(self._files)
        if state == self._seen:
            return False
        try:
            found = load(self._files)
        except CertificateInvalid as error:
            # The files are replaced one after the other: the look after the next may find a pair.
            if not self._failing:
                _log.error("certificates_unusable", use=self._files.use, reason=str(error))
            self._failing = True
            return False
        self._seen = state
        self._failing = False
        if found == self.current:
            return False
        self.current = found
        _log.info("certificates_replaced", use=self._files.use)
        return True


def load(files: CertificateFiles, *, now: Callable[[], float] = time.time) -> Certificates:
    """Reads and checks the files.

    Raises:
        CertificateInvalid: one is missing, is no PEM, has expired, or the key is another's.
    """
    if (files.certificate is None) != (files.key is None):
        raise CertificateInvalid(f"{files.use}: a certificate needs its key, and a key its own")
    chain = key = authorities = None
    ends = []
    if files.certificate and files.key:
        chain, key = _read(files.certificate), _read(files.key)
        own = _certificates(files.certificate, chain)[0]
        if _public_key(files.key, key) != own.public_key().public_bytes(*_PUBLIC):
            raise CertificateInvalid(f"{files.key} is not the key of {files.certificate}")
        ends.append(_valid_until(files.certificate, own, now()))
    if files.authorities:
        authorities = _read(files.authorities)
        trusted = _certificates(files.authorities, authorities)
        # One of them may be over: that is how authorities are replaced.
        ends.append(max(_end_of(one) for one in trusted))
        if ends[-1] <= now():
            raise CertificateInvalid(f"{files.authorities} has expired")
    if ends:
        EXPIRES.labels(files.use).set(min(ends))
    return Certificates(chain, key, authorities)


_PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateInvalid(f"{path} cannot be read: {error.strerror}") from error


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateInvalid(f"{path} holds no PEM certificate") from error


def _public_key(path: Path, content: bytes) -> bytes:
    try:
        return load_pem_private_key(content, password=None).public_key().public_bytes(*_PUBLIC)
    except (ValueError, TypeError) as error:
        raise CertificateInvalid(f"{path} holds no PEM key without a password") from error


def _valid_until(path: Path, certificate: x509.Certificate, now: float) -> float:
    if certificate.not_valid_before_utc.timestamp() > now:
        raise CertificateInvalid(f"{path} is not valid yet")
    if (end := _end_of(certificate)) <= now:
        raise CertificateInvalid(f"{path} has expired")
    return end


def _end_of(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def _state_of(files: CertificateFiles) -> tuple[tuple[int, int, int], ...]:
    """Changes whenever a file does, also where a link is moved, as Kubernetes does it."""
    state = []
    for path in files.paths():
        try:
            found = path.stat()
            state.append((found.st_ino, found.st_mtime_ns, found.st_size))
        except OSError:
            state.append((0, 0, 0))
    return tuple(state)

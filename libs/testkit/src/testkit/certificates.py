"""Authorities and certificates for tests of TLS."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Authority:
    """Signs certificates; writes all of its files to one directory."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._builder(self._name, self._key, timedelta(days=1)).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file = directory / f"{name}.pem"
        _write(self.file, own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self, stem: str, *names: str, lifetime: timedelta = timedelta(hours=1)
    ) -> tuple[Path, Path]:
        """A certificate for DNS names, URIs and addresses; its file and its key's.

        The files are replaced if there are any. A negative lifetime makes one that has expired.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, stem)])
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        signed = (
            self._builder(subject, key, lifetime)
            .add_extension(alternatives, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        certificate, key_file = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        _write(certificate, signed.public_bytes(Encoding.PEM))
        _write(
            key_file,
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        return certificate, key_file

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        end = datetime.now(UTC) + lifetime
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=2))
            .not_valid_after(end)
        )


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(file: Path, content: bytes) -> None:
    """In one step, as tools that renew certificates do."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)

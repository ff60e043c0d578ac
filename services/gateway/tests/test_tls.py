"""HTTPS in the process itself: what is spoken, and how a certificate is renewed."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.edge_settings import HttpSettings
from gateway.http_server import listen, load_certificate, serve
from gateway.server_certificate import CertificateInvalid, ServerCertificate

from .wire import get, served, wire

Issue = Callable[..., x509.Certificate]


async def tell_scheme(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    await PlainTextResponse(request.url.scheme)(scope, receive, send)


@pytest.fixture
def certificate_file(tmp_path: Path) -> Path:
    return tmp_path / "tls.crt"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "tls.key"


@pytest.fixture
def issue(certificate_file: Path, key_file: Path) -> Issue:
    """Writes a new certificate for localhost, and its key unless told not to."""

    def write(*, days: int = 30, with_key: bool = True) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=400))
            .not_valid_after(datetime.now(UTC) + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .sign(key, hashes.SHA256())
        )
        _replace(certificate_file, made.public_bytes(serialization.Encoding.PEM))
        if with_key:
            _replace(
                key_file,
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            )
        return made

    return write


def _replace(file: Path, content: bytes) -> None:
    # As those who renew certificates do: another file takes the name.
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, file)


def trusting(certificate: x509.Certificate) -> ssl.SSLContext:
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return ssl.create_default_context(cadata=pem)


async def test_https_is_spoken_and_told(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    context = trusting(issue())
    certificate = ServerCertificate(certificate_file, key_file)
    async with served(tell_scheme, certificate) as port, wire(port, context) as connection:
        await connection.send(get())
        assert (await connection.answer())[2] == b"https"


async def test_old_versions_are_refused(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    context = trusting(issue())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256")
    async with served(tell_scheme, ServerCertificate(certificate_file, key_file)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with wire(port, context):
                pass
    server = ServerCertificate(certificate_file, key_file)
    assert server.context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_plain_http_is_not_answered(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    issue()
    certificate = ServerCertificate(certificate_file, key_file)
    async with served(tell_scheme, certificate) as port, wire(port) as connection:
        await connection.send(get())
        assert (await connection.head())[0] == 0


async def test_handshake_that_is_not_gone_on_with_is_cut_off(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    issue()
    certificate = ServerCertificate(certificate_file, key_file)
    async with (
        served(tell_scheme, certificate, header_timeout=0.3) as port,
        wire(port) as connection,
    ):
        assert await connection.is_closed()


async def test_a_stop_does_not_wait_for_an_idle_client_that_says_no_goodbye(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    context = trusting(issue())
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    certificate = ServerCertificate(certificate_file, key_file)
    settings = HttpSettings(drain_seconds=0.0, shutdown_grace=60.0)
    serving = asyncio.create_task(serve(tell_scheme, listener, settings, certificate))

    def ask() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=20.0)
        connection = context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(get())
        connection.recv(1000)
        return connection

    # A pool's: nobody reads from it until it is needed again.
    with await asyncio.to_thread(ask):
        serving.cancel()
        async with asyncio.timeout(20.0):
            with suppress(asyncio.CancelledError):
                await asyncio.shield(serving)
    assert serving.done()


async def test_renewed_certificate_is_shown_to_new_connections_and_drops_none(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    first = trusting(issue())
    certificate = ServerCertificate(certificate_file, key_file)
    async with served(tell_scheme, certificate) as port, wire(port, first) as before:
        await before.send(get())
        assert (await before.head())[0] == 200
        renewed = issue(days=60)
        await certificate.refresh()
        async with wire(port, trusting(renewed)) as after:
            await after.send(get())
            assert (await after.head())[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            async with wire(port, first):
                pass
    expires = REGISTRY.get_sample_value(
        "weir_certificate_expires_timestamp_seconds", {"use": "http"}
    )
    assert expires == renewed.not_valid_after_utc.timestamp()


async def test_half_written_renewal_changes_nothing_until_it_is_whole(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    first = trusting(issue())
    certificate = ServerCertificate(certificate_file, key_file)
    issue(with_key=False)
    with structlog.testing.capture_logs() as logs:
        await certificate.refresh()
        await certificate.refresh()
    assert [line["event"] for line in logs] == ["certificate_not_renewed"]
    async with served(tell_scheme, certificate) as port:
        async with wire(port, first) as connection:
            await connection.send(get())
            assert (await connection.head())[0] == 200
        renewed = issue()
        await certificate.refresh()
        async with wire(port, trusting(renewed)):
            pass


async def test_expired_certificate_is_served_and_said_so(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    issue(days=-1)
    with structlog.testing.capture_logs() as logs:
        ServerCertificate(certificate_file, key_file)
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("certificate_loaded", "error")
    ]


def test_what_cannot_be_used_is_said_by_its_name(
    issue: Issue, certificate_file: Path, key_file: Path
) -> None:
    with pytest.raises(CertificateInvalid, match=r"tls\.crt: No such file"):
        ServerCertificate(certificate_file, key_file)
    issue()
    issue(with_key=False)
    with pytest.raises(CertificateInvalid, match="no pair of certificate and key"):
        ServerCertificate(certificate_file, key_file)
    certificate_file.write_text("nothing")
    with pytest.raises(CertificateInvalid, match=r"not PEM|no pair"):
        ServerCertificate(certificate_file, key_file)
    with pytest.raises(CertificateInvalid, match="go together"):
        load_certificate(HttpSettings(tls_certificate_file=certificate_file))
    assert load_certificate(HttpSettings()) is None

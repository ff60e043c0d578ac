"""Calls over TLS: who is believed on each side, and how files are replaced."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY
from pydantic import ValidationError
from structlog.testing import capture_logs

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.certificates import CertificateFiles, CertificateInvalid, WatchedCertificates, load
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcClientSettings, GrpcServerSettings
from testkit.certificates import Authority
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

GATEWAY = "spiffe://weir/gateway"
SAY = "/weir.Echo/Say"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def serving(issuer: FakeIssuer, **settings: Any) -> AsyncIterator[str]:
    """A server that answers with the caller's scopes; gives its address."""

    async def scopes(_: bytes, context: object) -> bytes:
        return " ".join(sorted(request_context.principal.get().scopes)).encode()

    server = GrpcServer(
        GrpcServerSettings(grpc_address="127.0.0.1:0", shutdown_grace=0.1, **settings),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={SAY: "echo:say"},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    server.grpc.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "weir.Echo", {"Say": grpc.unary_unary_rpc_method_handler(scopes)}
            ),
        )
    )
    async with server:
        yield server.address


def channel_to(address: str, issuer: FakeIssuer, **settings: Any) -> grpc.aio.Channel:
    async def token() -> str:
        return issuer.token("echo:say", "delegate")

    return open_channel(
        address,
        token=token,
        default_timeout=20.0,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        tls=GrpcClientSettings(**settings),
    )


async def say(address: str, issuer: FakeIssuer, **settings: Any) -> bytes:
    async with channel_to(address, issuer, **settings) as channel:
        answer: bytes = await channel.unary_unary(SAY)(b"")
        return answer


def server_files(authority: Authority, stem: str = "server") -> dict[str, Path]:
    certificate, key = authority.issue(stem, "127.0.0.1")
    return {"grpc_tls_certificate_file": certificate, "grpc_tls_key_file": key}


def client_files(authority: Authority, stem: str, *names: str) -> dict[str, Path]:
    certificate, key = authority.issue(stem, *names)
    return {"grpc_client_certificate_file": certificate, "grpc_client_key_file": key}


async def refused(call: Awaitable[bytes]) -> None:
    with pytest.raises(AioRpcError) as caught:
        await call
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_server_with_a_certificate_speaks_tls_alone(
    issuer: FakeIssuer, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    async with serving(issuer, **server_files(authority)) as address:
        assert await say(address, issuer, grpc_ca_file=authority.file) == b"delegate echo:say"
        await refused(say(address, issuer))
        await refused(say(address, issuer, grpc_ca_file=stranger.file))


async def test_server_that_asks_for_certificates_takes_those_of_its_authority(
    issuer: FakeIssuer, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    files = server_files(authority) | {"grpc_tls_client_ca_file": authority.file}
    async with serving(issuer, **files) as address:
        ca = {"grpc_ca_file": authority.file}
        own = client_files(authority, "client", "client.test")
        assert await say(address, issuer, **ca, **own)
        await refused(say(address, issuer, **ca))
        await refused(say(address, issuer, **ca, **client_files(stranger, "other", "x.test")))


async def test_delegate_must_show_the_certificate_of_one(
    issuer: FakeIssuer, authority: Authority
) -> None:
    files = server_files(authority) | {"grpc_tls_client_ca_file": authority.file}
    async with serving(issuer, **files, delegate_certificate_name=GATEWAY) as address:
        ca = {"grpc_ca_file": authority.file}
        gateway = client_files(authority, "gateway", GATEWAY, "gateway.test")
        assert await say(address, issuer, **ca, **gateway) == b"delegate echo:say"
        other = client_files(authority, "other", GATEWAY + "/x", "other.test")
        assert await say(address, issuer, **ca, **other) == b"echo:say"


async def test_replaced_files_are_used_without_a_restart_and_without_a_lost_call(
    issuer: FakeIssuer, authority: Authority, tmp_path: Path
) -> None:
    successor = Authority(tmp_path, "successor")
    files = server_files(authority)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    async with (
        serving(issuer, **files) as address,
        channel_to(address, issuer, grpc_ca_file=trusted) as channel,
    ):
        method = channel.unary_unary(SAY)
        await method(b"")
        trusted.write_bytes(authority.file.read_bytes() + successor.file.read_bytes())
        server_files(successor)
        async with asyncio.timeout(30):
            while not await trusts(address, issuer, successor):
                # The first connection goes on.
                assert await method(b"") == b"delegate echo:say"
        # A connection of its own, to the new certificate.
        async with channel_to(address, issuer, grpc_ca_file=trusted) as another:
            assert await another.unary_unary(SAY)(b"")
        assert await method(b"") == b"delegate echo:say"


async def trusts(address: str, issuer: FakeIssuer, authority: Authority) -> bool:
    try:
        return bool(await say(address, issuer, grpc_ca_file=authority.file))
    except AioRpcError:
        return False


async def test_client_shows_its_new_certificate_on_the_same_channel(
    issuer: FakeIssuer, authority: Authority
) -> None:
    files = server_files(authority) | {"grpc_tls_client_ca_file": authority.file}
    async with serving(issuer, **files, delegate_certificate_name=GATEWAY) as address:
        own = client_files(authority, "client", "client.test")
        async with channel_to(address, issuer, grpc_ca_file=authority.file, **own) as channel:
            method = channel.unary_unary(SAY)
            assert await method(b"") == b"echo:say"
            client_files(authority, "client", GATEWAY)
            async with asyncio.timeout(30):
                while await method(b"") != b"delegate echo:say":
                    assert channel.get_state() is not grpc.ChannelConnectivity.SHUTDOWN


def test_certificate_files_are_checked_before_use(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("good", "a.test")
    _, other_key = authority.issue("other", "a.test")
    old, old_key = authority.issue("old", "a.test", lifetime=timedelta(seconds=-1))
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no PEM")
    for files, fault in (
        ((certificate, other_key, None), "is not the key of"),
        ((old, old_key, None), "has expired"),
        ((nothing, key, None), "holds no PEM certificate"),
        ((certificate, nothing, None), "holds no PEM key"),
        ((tmp_path / "missing", key, None), "cannot be read"),
        ((certificate, None, None), "needs its key"),
        ((None, None, nothing), "holds no PEM certificate"),
    ):
        with pytest.raises(CertificateInvalid, match=fault):
            load(CertificateFiles("test", *files))


def test_expiry_is_a_metric(authority: Authority) -> None:
    certificate, key = authority.issue("good", "a.test", lifetime=timedelta(hours=2))
    load(CertificateFiles("metric", certificate, key))
    value = REGISTRY.get_sample_value(
        "weir_certificate_expires_timestamp_seconds", {"use": "metric"}
    )
    assert value == pytest.approx(certificate.stat().st_mtime + 7200, abs=60)


def test_unusable_replacement_leaves_what_was_there(authority: Authority) -> None:
    certificate, key = authority.issue("own", "a.test")
    now = 0.0
    watched = WatchedCertificates(
        CertificateFiles("test", certificate, key), clock=lambda: now, look_again=1.0
    )
    before = watched.current
    good = certificate.read_bytes()
    with capture_logs() as logs:
        certificate.write_text("half a file")
        now = 1.5
        assert not watched.changed()
        now = 3.0
        assert not watched.changed()
        assert watched.current == before
        certificate.write_bytes(good)
        os.utime(certificate, ns=(1, 1))
        now = 5.0
        assert not watched.changed()
        authority.issue("own", "a.test")
        now = 7.0
        assert watched.changed()
    assert watched.current != before
    assert [entry["event"] for entry in logs] == ["certificates_unusable", "certificates_replaced"]


@pytest.mark.parametrize(
    "given",
    [
        {"grpc_tls_certificate_file": "a"},
        {"grpc_tls_client_ca_file": "a"},
        {"delegate_certificate_name": "a"},
    ],
)
def test_half_a_configuration_of_a_server_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GrpcServerSettings(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"grpc_client_key_file": "a"},
        {"grpc_client_key_file": "a", "grpc_client_certificate_file": "b"},
    ],
)
def test_half_a_configuration_of_a_client_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GrpcClientSettings(**given)

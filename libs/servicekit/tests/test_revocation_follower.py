"""How a process learns what was revoked, whatever becomes of Redis."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import Unauthenticated, Unavailable
from servicekit.event_stream import EventPublisher
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.stores import Store, running_redis
from testkit.waiting import until
from weir.events.v1.events_pb2 import AuditRecorded, TokensRevoked

STREAM = "test:revocations"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Store]:
    """A Redis that a test may break."""
    with running_redis(tmp_path) as running:
        yield running


@asynccontextmanager
async def following(url: str) -> AsyncIterator[RevocationList]:
    """A list with its follower at work."""
    redis = open_redis(url, timeout=1.0 + BLOCK, connections=1)
    revocations = RevocationList()
    follower = RevocationFollower(
        redis, revocations, stream=STREAM, message=TokensRevoked, retry=0.02
    )
    task = asyncio.create_task(follower.run())
    try:
        yield revocations
    finally:
        # As `run_until_stopped` does: Python 3.11 may drop a cancellation.
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.2)
        await redis.aclose()


def revoked(token_id: str) -> TokensRevoked:
    event = TokensRevoked(token_id=token_id)
    event.occurred_at.GetCurrentTime()
    event.expires_at.FromSeconds(int(time.time()) + 300)
    return event


async def revoke(redis: Redis, *token_ids: str) -> None:
    await EventPublisher(redis).publish(STREAM, [revoked(one) for one in token_ids])


async def test_what_was_revoked_before_the_start_is_known_at_once(
    redis: Redis, redis_server: Store
) -> None:
    await revoke(redis, *(f"t-{number}" for number in range(2500)))
    async with following(redis_server.url) as revocations:
        await until(lambda: revocations.complete, within=30)
        assert len(revocations) == 2500


async def test_revocation_reaches_a_verifier_that_knows_the_token(
    redis: Redis, redis_server: Store, issuer: FakeIssuer
) -> None:
    async with following(redis_server.url) as revocations:
        await until(lambda: revocations.complete, within=30)
        subject = AccessTokenVerifier(
            issuer, issuer=ISSUER, audience=AUDIENCE, revocations=revocations
        )
        token, other = issuer.token(jti="t-1"), issuer.token()
        await subject.verify(token)
        await revoke(redis, "t-1")
        await until(lambda: len(revocations) == 1, within=30)
        with pytest.raises(Unauthenticated) as caught:
            await subject.verify(token)
        assert caught.value.code == "TOKEN_REVOKED"
        await subject.verify(other)


async def test_nobody_is_believed_before_the_first_read(server: Store, issuer: FakeIssuer) -> None:
    server.stop()
    async with following(server.url) as revocations:
        subject = AccessTokenVerifier(
            issuer, issuer=ISSUER, audience=AUDIENCE, revocations=revocations
        )
        with pytest.raises(Unavailable) as caught:
            await subject.verify(issuer.token())
        assert caught.value.code == "REVOCATIONS_UNKNOWN"
        server.start_ready()
        await until(lambda: revocations.complete, within=30)
        await subject.verify(issuer.token())


async def test_list_holds_while_redis_is_away_and_goes_on_afterwards(server: Store) -> None:
    redis = open_redis(server.url, timeout=5.0)
    await revoke(redis, "t-1")
    with capture_logs() as logs:
        async with following(server.url) as revocations:
            await until(lambda: revocations.complete, within=30)
            server.stop()
            await until(lambda: gauge("weir_revocations_following") == 0, within=30)
            assert revocations.complete
            assert len(revocations) == 1
            server.start_ready()
            await revoke(redis, "t-2")
            await until(lambda: len(revocations) == 2, within=30)
    assert [entry["event"] for entry in logs if entry["event"].startswith("revocations_")] == [
        "revocations_following",
        "revocations_not_followed",
        "revocations_following",
    ]
    await redis.aclose()


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(name)


async def test_frozen_redis_is_away_until_it_answers(server: Store) -> None:
    redis = open_redis(server.url, timeout=30.0)
    async with following(server.url) as revocations:
        await until(lambda: revocations.complete, within=30)
        server.send(signal.SIGSTOP)
        try:
            await until(lambda: gauge("weir_revocations_following") == 0, within=30)
        finally:
            server.send(signal.SIGCONT)
        await revoke(redis, "t-1")
        await until(lambda: len(revocations) == 1, within=30)
    await redis.aclose()


async def test_trimmed_or_empty_stream_takes_nothing_from_the_list(
    redis: Redis, redis_server: Store
) -> None:
    async with following(redis_server.url) as revocations:
        await revoke(redis, "t-1")
        await until(lambda: len(revocations) == 1, within=30)
        await redis.xtrim(STREAM, maxlen=0, approximate=False)
        await revoke(redis, "t-2")
        await until(lambda: len(revocations) == 2, within=30)


async def test_stream_that_begins_anew_behind_the_old_one_is_read(
    redis: Redis, redis_server: Store
) -> None:
    """A Redis that lost its data, with a clock that is behind the other's."""
    async with following(redis_server.url) as revocations:
        event = revoked("t-1")
        fields: Any = {b"type": b"weir.events.v1.TokensRevoked", b"data": event.SerializeToString()}
        ahead = int(time.time() * 1000) + 60_000
        await redis.xadd(STREAM, fields, id=f"{ahead}-0")
        await until(lambda: len(revocations) == 1, within=30)
        await redis.delete(STREAM)
        await revoke(redis, "t-2")
        await until(lambda: len(revocations) == 2, within=30)


async def test_broken_entries_are_counted_told_once_and_skipped(
    redis: Redis, redis_server: Store
) -> None:
    before = gauge("weir_revocations_broken_total") or 0.0
    kind = b"weir.events.v1.TokensRevoked"
    entries: list[Any] = [
        {b"x": b"y"},
        {b"type": kind},
        {b"type": kind, b"data": b"\xff"},
        {b"type": kind, b"data": TokensRevoked().SerializeToString()},
    ]
    with capture_logs() as logs:
        async with following(redis_server.url) as revocations:
            for entry in entries:
                await redis.xadd(STREAM, entry)
            await EventPublisher(redis).publish(STREAM, [AuditRecorded(event_id="x")])
            await revoke(redis, "t-1")
            await until(lambda: len(revocations) == 1, within=30)
    assert gauge("weir_revocations_broken_total") == before + 5
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["event"] for entry in errors] == ["revocation_broken"]

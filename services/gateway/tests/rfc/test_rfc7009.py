"""RFC 7009, revocation: a client gives up a token of its own."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.assembly import Gateway
from testkit.issuer import FakeIssuer
from testkit.stores import Store
from weir.events.v1 import events_pb2

from .conftest import Post, asserted, assertion, refused

Issue = Callable[..., Awaitable[str]]
STREAM = "weir:revocations"


async def revocations(redis: Redis) -> list[Any]:
    entries: Any = await redis.xrange(STREAM)
    return [events_pb2.TokensRevoked.FromString(fields[b"data"]) for _, fields in entries]


async def test_2_1_revoked_token_is_told_to_everybody(
    post: Post, issue: Issue, redis: Redis, issuer: FakeIssuer
) -> None:
    answer = await post("revoke", token=await issue())
    assert (answer.status_code, answer.content) == (200, b"{}")
    (event,) = await revocations(redis)
    assert len(event.token_id) == 36
    assert abs(event.expires_at.ToSeconds() - time.time() - 600) < 60


async def test_2_1_client_authenticates(post: Post, issue: Issue, redis: Redis) -> None:
    refused(await post("revoke", None, token=await issue()), 401, "invalid_client")
    assert await revocations(redis) == []


async def test_2_1_assertion_authenticates_too(post: Post, issue: Issue, redis: Redis) -> None:
    token = await issue("signer")
    assert (await post("revoke", None, **asserted(assertion(), token=token))).status_code == 200
    assert len(await revocations(redis)) == 1


@pytest.mark.parametrize("client_id", ["neighbour", "foreigner", "platform"])
async def test_2_1_token_of_another_client_is_refused(
    post: Post, issue: Issue, redis: Redis, client_id: str
) -> None:
    refused(await post("revoke", client_id, token=await issue()), 400, "invalid_grant")
    assert await revocations(redis) == []


async def test_2_1_token_is_needed(post: Post) -> None:
    refused(await post("revoke", token_type_hint="access_token"), 400, "invalid_request")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
async def test_2_1_hint_changes_nothing(post: Post, issue: Issue, redis: Redis, hint: str) -> None:
    await post("revoke", token=await issue(), token_type_hint=hint)
    assert len(await revocations(redis)) == 1


async def test_2_1_get_is_refused(http: httpx.AsyncClient) -> None:
    refused(await http.get("/oauth2/revoke"), 405, "invalid_request")


async def test_2_2_unknown_and_expired_tokens_are_what_the_client_wants(
    post: Post, issuer: FakeIssuer, redis: Redis
) -> None:
    expired = issuer.token("models:read", exp=int(time.time()) - 60)
    for token in ("nonsense", "a.b.c", expired, FakeIssuer().token("models:read")):
        assert (await post("revoke", token=token)).status_code == 200
    assert await revocations(redis) == []


async def test_2_2_1_while_nobody_can_be_told_the_client_is_told_that(
    post: Post, issue: Issue, redis_server: Store
) -> None:
    token = await issue()
    redis_server.stop()
    try:
        answer = refused(await post("revoke", token=token), 503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        redis_server.start_ready()


async def test_2_revocation_is_audited_without_the_token(
    post: Post, issue: Issue, gateway: Gateway, redis: Redis
) -> None:
    token = await issue()
    await post("revoke", token=token)
    await gateway.audit.flush()
    entries: Any = await redis.xrange("weir:audit")
    *_, last = (events_pb2.AuditRecorded.FromString(fields[b"data"]) for _, fields in entries)
    (event,) = await revocations(redis)
    assert (last.action, last.client_id, last.target) == (
        "token.revoke",
        "client-1",
        event.token_id,
    )
    assert token.encode() not in repr(entries).encode()


async def test_old_revocations_leave_the_stream(post: Post, issue: Issue, redis: Redis) -> None:
    long_ago = int((time.time() - 3600) * 1000)
    for number in range(300):
        await redis.xadd(STREAM, {"data": b""}, id=f"{long_ago}-{number + 1}")
    await post("revoke", token=await issue())
    # Redis drops whole nodes of a stream.
    assert await redis.xlen(STREAM) <= 101


async def test_2_revoked_token_is_refused_at_once_by_the_gateway_that_was_told(
    http: httpx.AsyncClient, post: Post, issue: Issue
) -> None:
    token = await issue()
    await post("revoke", token=token)
    answer = await http.get("/v1/models", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert (await post("introspect", "resources", token=token)).json() == {"active": False}
    assert (await post("revoke", token=token)).status_code == 200

"""How an issuer's keys are fetched, kept and replaced, whatever tokens and the issuer do."""

import asyncio
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from servicekit.bounded_fetch import LARGEST
from servicekit.errors import Unavailable
from servicekit.remote_keys import RemoteKeySource
from testkit.waiting import until


def described(*keys: Any) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def ec_key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


class Server:
    """An issuer's JWKS endpoint."""

    def __init__(self) -> None:
        self.key = ec_key()
        self.content: Any = described(self.key)
        self.headers: dict[str, str] = {}
        self.status = 200
        self.conditions: list[str | None] = []
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.conditions.append(request.headers.get("if-none-match"))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await self.gate.wait()
        self.at_once -= 1
        etag = self.headers.get("ETag")
        if etag and request.headers.get("if-none-match") == etag:
            return httpx.Response(304, headers=self.headers)
        return httpx.Response(self.status, json=self.content, headers=self.headers)

    @property
    def requests(self) -> int:
        return len(self.conditions)

    def source(self, **options: Any) -> RemoteKeySource:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return RemoteKeySource("https://issuer.test/jwks", http, clock=lambda: self.now, **options)


@pytest.fixture
async def server() -> Server:
    return Server()


async def test_flood_of_unknown_keys_makes_one_request_an_interval_and_one_at_a_time(
    server: Server,
) -> None:
    keys = server.source()
    server.gate.clear()
    flood = [asyncio.create_task(keys.find(f"unknown-{number}")) for number in range(200)]
    await until(lambda: server.requests == 1)
    server.gate.set()
    assert set(await asyncio.gather(*flood)) == {None}
    assert (server.requests, server.most_at_once) == (1, 1)
    server.now = 5.0
    for number in range(200):
        await keys.find(f"further-{number}")
    assert server.requests == 2


async def test_new_key_is_seen_with_the_first_token_that_names_it(server: Server) -> None:
    keys = server.source()
    await keys.find(str(server.key.kid))
    server.now = 6.0
    successor = ec_key()
    server.content = described(server.key, successor)
    assert await keys.find(str(successor.kid))
    assert await keys.find(str(server.key.kid))
    assert server.requests == 2


async def test_key_that_was_absent_is_not_asked_for_again_for_a_while(server: Server) -> None:
    keys = server.source()
    for server.now in (0.0, 10.0, 20.0):
        assert await keys.find("absent") is None
    assert server.requests == 1
    server.now = 61.0
    assert await keys.find("absent") is None
    assert server.requests == 2


async def test_set_that_has_changed_makes_absent_keys_worth_asking_for(server: Server) -> None:
    keys = server.source()
    late = ec_key()
    assert await keys.find(str(late.kid)) is None
    server.now = 6.0
    other = ec_key()
    server.content = described(server.key, other)
    assert await keys.find(str(other.kid))
    server.now = 12.0
    server.content = described(server.key, other, late)
    assert await keys.find(str(late.kid))


async def test_withdrawn_key_is_gone_once_the_set_is_stale(server: Server) -> None:
    server.headers = {"Cache-Control": "public, max-age=60"}
    keys = server.source()
    withdrawn = str(server.key.kid)
    assert await keys.find(withdrawn)
    server.content = described(ec_key())
    server.now = 59.0
    assert await keys.find(withdrawn)
    assert server.requests == 1
    server.now = 61.0
    # Who notices does not wait.
    assert await keys.find(withdrawn)
    await until(lambda: server.requests == 2)
    server.now = 62.0
    assert await keys.find(withdrawn) is None


@pytest.mark.parametrize(
    ("control", "stale_after"),
    [("no-store", 5), ("max-age=1", 5), ("", 300), ("max-age=999999999", 3600)],
)
async def test_what_the_issuer_says_of_caching_holds_within_bounds(
    server: Server, control: str, stale_after: float
) -> None:
    server.headers = {"Cache-Control": control}
    keys = server.source()
    await keys.find(str(server.key.kid))
    server.now = stale_after - 0.1
    await keys.find(str(server.key.kid))
    await asyncio.sleep(0)
    assert server.requests == 1
    server.now = stale_after + 0.1
    await keys.find(str(server.key.kid))
    await until(lambda: server.requests == 2)


async def test_unchanged_set_is_not_sent_again(server: Server) -> None:
    server.headers = {"ETag": '"v1"'}
    keys = server.source()
    await keys.find(str(server.key.kid))
    server.now = 400.0
    await keys.find(str(server.key.kid))
    await until(lambda: server.requests == 2)
    assert server.conditions == [None, '"v1"']
    assert await keys.find(str(server.key.kid))


async def test_last_good_set_stays_while_the_issuer_fails(server: Server) -> None:
    keys = server.source()
    await keys.find(str(server.key.kid))
    server.status, server.now = 500, 400.0
    assert await keys.find(str(server.key.kid))
    await until(lambda: server.requests == 2)
    for _ in range(100):
        assert await keys.find(str(server.key.kid))
        assert await keys.find("unknown") is None
    assert server.requests == 2


async def test_issuer_that_never_answered_is_asked_once_a_second(server: Server) -> None:
    server.status = 503
    keys = server.source()
    for server.now in (0.0, 0.2, 0.9):
        with pytest.raises(Unavailable):
            await keys.find(str(server.key.kid))
    assert server.requests == 1
    server.status, server.now = 200, 1.1
    assert await keys.find(str(server.key.kid))


@pytest.mark.parametrize(
    "content",
    [[], {}, {"keys": {}}, {"keys": [1] * 101}, "x" * (LARGEST + 1)],
    ids=["list", "empty", "object", "many", "large"],
)
async def test_answer_that_is_no_set_of_reasonable_size_is_a_failure(
    server: Server, content: Any
) -> None:
    server.content = content
    with pytest.raises(Unavailable):
        await server.source().find("any")


async def test_redirects_are_not_followed(server: Server) -> None:
    server.status, server.headers = 302, {"Location": "https://evil.test/jwks"}
    with pytest.raises(Unavailable):
        await server.source().find("any")
    assert server.requests == 1


async def test_keys_of_other_kinds_are_left_out_and_the_rest_is_good(server: Server) -> None:
    good = server.key.as_dict(private=False)
    strange: list[Any] = [
        1,
        {},
        {"kid": "broken", "kty": "EC", "crv": "P-256", "x": "A", "y": "A"},
        {"kid": "unknown-kind", "kty": "AKP"},
        good | {"kid": ""},
        good | {"kid": "for-encryption", "use": "enc"},
        good | {"kid": "for-another", "alg": "ES384"},
        ECKey.generate_key("P-384", {"kid": "curve"}).as_dict(private=False),
        RSAKey.generate_key(2048, {"kid": "rsa"}).as_dict(private=False),
        OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True),
    ]
    server.content = {"keys": [*strange, good]}
    keys = server.source()
    assert await keys.find(str(server.key.kid))
    for name in ("broken", "unknown-kind", "for-encryption", "for-another", "curve", "rsa"):
        assert await keys.find(name) is None
    assert await keys.find("secret") is None
    assert await keys.find("") is None

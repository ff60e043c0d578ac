"""Requests with an Idempotency-Key: made once, whatever is sent how often."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.idempotency_store import IdempotencyStore, StoreAway, StoredAnswer, entry_of
from servicekit.errors import Unavailable
from testkit.issuer import FakeIssuer
from testkit.stores import Store, running_redis
from testkit.waiting import until

from .backends import Backends
from .conftest import Call
from .oip_backend import inputs
from .test_predict import refused

KEY = {"idempotency-key": '"key-1"'}
PATHS = ["/predict", "/v1/models/sentiment/predict"]


def of(status: str, answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, answer.text
    assert answer.headers["idempotency-status"] == status
    return answer


async def test_repeated_request_has_the_same_answer_and_costs_nothing(
    predict: Call, backends: Backends
) -> None:
    first = of("kept", await predict({"text": "x"}, **KEY))
    backends.inference.predicts.failure = Unavailable("Away.")
    again = of("repeated", await predict({"text": "x"}, **KEY))
    assert (again.json(), again.headers["content-type"]) == (first.json(), "application/json")
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(backends.inference.predicts.requests) == 1


async def test_key_is_the_same_in_quotes_and_without(predict: Call) -> None:
    of("kept", await predict({"text": "x"}, **KEY))
    of("repeated", await predict({"text": "x"}, **{"idempotency-key": "key-1"}))


async def test_batches_and_tensors_are_repeated_too(predict: Call) -> None:
    for path, body in (
        ("/predict/batch", {"texts": ["a", "b"]}),
        ("/v2/models/sentiment/infer", inputs("good")),
    ):
        key = {"idempotency-key": path}
        first = of("kept", await predict(body, path=path, **key))
        assert of("repeated", await predict(body, path=path, **key)).content == first.content


async def test_person_is_erased_once(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends
) -> None:
    async def erase(*scopes: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {issuer.token(*scopes)}", **KEY}
        return await http.post("/v1/erasures", json={"subject": "somebody"}, headers=headers)

    first, again = await erase("privacy:erase"), await erase("privacy:erase")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotency-status"] == "repeated"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    assert len(backends.privacy.calls.requests) == 1
    refused(await erase("models:read"), 403, "SCOPE_MISSING")


@pytest.mark.parametrize(("path", "body"), [("/predict", {"text": "y"}), (PATHS[1], {"text": "x"})])
async def test_key_of_another_request_is_422(
    predict: Call, backends: Backends, path: str, body: Any
) -> None:
    of("kept", await predict({"text": "x"}, **KEY))
    problem = refused(await predict(body, path=path, **KEY), 422, "IDEMPOTENCY_KEY_REUSED")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert len(backends.inference.predicts.requests) == 1


async def test_keys_of_two_clients_are_two(
    predict: Call, backends: Backends, issuer: FakeIssuer
) -> None:
    of("kept", await predict({"text": "x"}, **KEY))
    other = issuer.token("models:predict", client_id="frugal")
    of("kept", await predict({"text": "y"}, token=other, **KEY))
    assert len(backends.inference.predicts.requests) == 2


async def test_request_in_flight_is_409_and_its_answer_comes_later(
    predict: Call, backends: Backends
) -> None:
    go_on = asyncio.Event()
    backends.inference.predicts.wait = go_on.wait
    asking = asyncio.create_task(predict({"text": "x"}, **KEY))
    await until(lambda: len(backends.inference.predicts.requests) == 1)
    answer = await predict({"text": "x"}, **KEY)
    refused(answer, 409, "IDEMPOTENCY_KEY_IN_FLIGHT")
    assert int(answer.headers["retry-after"]) >= 1
    go_on.set()
    of("kept", await asking)
    of("repeated", await predict({"text": "x"}, **KEY))


async def test_what_failed_can_be_tried_again(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = Unavailable("Away.", reason="EVENT_STREAM_UNAVAILABLE")
    assert (await predict({"text": "x"}, **KEY)).status_code == 503
    backends.inference.predicts.failure = None
    of("kept", await predict({"text": "x"}, **KEY))


async def test_refused_request_leaves_its_key_free(predict: Call) -> None:
    assert (await predict({"text": ""}, **KEY)).status_code == 422
    of("kept", await predict({"text": "x"}, **KEY))


@pytest.mark.parametrize("key", ["", "x" * 129, '""', '"a', "\x7f"])
async def test_malformed_key_is_refused(predict: Call, key: str) -> None:
    answer = await predict({"text": "x"}, **{"idempotency-key": key})
    if key == '"a':  # bare, and a quote is an ASCII character like others
        of("kept", answer)
        return
    assert refused(answer, 422, "INVALID_INPUT")["errors"][0]["field"] == "Idempotency-Key"


async def test_nothing_readable_is_left_in_redis(predict: Call, redis: Redis) -> None:
    await predict({"text": "x", "return_probabilities": True}, **KEY)
    names = [name async for name in redis.scan_iter("weir:idempotency:*")]
    assert len(names) == 1
    stored = await redis.get(names[0])
    for word in (b"positive", b"sentiment", b"key-1", b"client-1"):
        assert word not in stored
        assert word not in names[0]
    assert 86_000 < await redis.ttl(names[0]) <= 86_400


async def test_client_is_made_once_and_its_secret_told_again_to_who_repeats(
    administer: Call, redis: Redis
) -> None:
    body = {"name": "Shop", "roles": ["predictor"]}
    first = await administer("POST", "/v1/clients", body, idempotency_key="make-shop")
    again = await administer("POST", "/v1/clients", body, idempotency_key="make-shop")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["cache-control"] == "no-store"
    assert await redis.hlen("weir:identity:clients") == 1
    (name,) = [name async for name in redis.scan_iter("weir:idempotency:*")]
    assert first.json()["client_secret"].encode() not in await redis.get(name)
    fallen = await administer(
        "POST", "/v1/clients", body, scopes=["models:read"], idempotency_key="make-shop"
    )
    refused(fallen, 403, "SCOPE_MISSING")


class TestTheStore:
    @pytest.fixture
    def store(self, redis: Redis) -> IdempotencyStore:
        return IdempotencyStore(redis, bytes(32), lease=0.2, lifetime=60)

    async def test_mark_of_a_gateway_that_died_is_given_up(self, store: IdempotencyStore) -> None:
        entry, fingerprint = entry_of("c", "k"), bytes(32)
        assert (await store.claim(entry, fingerprint, b"a" * 16)).state == "ours"
        assert (await store.claim(entry, fingerprint, b"b" * 16)).state == "in flight"

        async def free() -> bool:
            return (await store.claim(entry, fingerprint, b"b" * 16)).state == "ours"

        await until(free)
        # Whoever comes back too late changes nothing.
        assert not await store.keep(entry, fingerprint, b"a" * 16, StoredAnswer(200, {}, b"late"))
        assert not await store.release(entry, b"a" * 16)
        assert await store.keep(entry, fingerprint, b"b" * 16, StoredAnswer(200, {}, b"good"))
        found = await store.claim(entry, fingerprint, b"c" * 16)
        assert found.answer == StoredAnswer(200, {}, b"good")

    async def test_answer_sealed_with_another_pepper_is_no_answer(
        self, store: IdempotencyStore, redis: Redis
    ) -> None:
        entry, fingerprint = entry_of("c", "k"), bytes(32)
        await store.claim(entry, fingerprint, b"a" * 16)
        await store.keep(entry, fingerprint, b"a" * 16, StoredAnswer(200, {}, b"x"))
        other = IdempotencyStore(redis, b"1" * 32, lease=1, lifetime=60)
        with pytest.raises(StoreAway):
            await other.claim(entry, fingerprint, b"b" * 16)


class TestWithARedisOfItsOwn:
    @pytest.fixture
    def own_redis(self, tmp_path: Path) -> Iterator[Store]:
        (tmp_path / "own").mkdir()
        with running_redis(tmp_path / "own", durable=False) as server:
            yield server

    @pytest.fixture
    def settings(self, settings: dict[str, Any], own_redis: Store) -> dict[str, Any]:
        return settings | {"quota_redis_url": own_redis.url, "quota_timeout": 0.2}

    async def test_without_redis_requests_are_answered_and_told_so(
        self, predict: Call, own_redis: Store, backends: Backends
    ) -> None:
        own_redis.send(signal.SIGSTOP)
        try:
            for _ in range(2):
                of("not-kept", await predict({"text": "x"}, **KEY))
        finally:
            own_redis.send(signal.SIGCONT)
        assert len(backends.inference.predicts.requests) == 2

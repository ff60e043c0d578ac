"""A flood of predictions is refused before it costs much, and is told what it always was."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import httpx
import pytest
import pytest_asyncio
import structlog
from structlog.typing import EventDict

from gateway.assembly import Gateway
from gateway.direct_routes import DirectRoute
from gateway.early_refusals import EarlyRefusals
from gateway.refusal_counts import RefusalCounts
from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call
from .wire import Wire, post, served, wire

BODY = json.dumps({"text": "x"}).encode()
TRACE = "7d1e5e43c8a04f1fb0e2a1c7c8a9b0d1"
Ask = Callable[..., bytes]


@pytest.fixture
def settings(settings: dict[str, object]) -> dict[str, object]:
    return settings | {"inference_items": 1}


@pytest.fixture
def token(issuer: FakeIssuer) -> str:
    return issuer.token("models:predict")


@pytest.fixture
def ask(token: str) -> Ask:
    """A prediction's bytes; `path`, `body` and headers bend it."""

    def request(*headers: str, path: str = "/predict", body: bytes = BODY) -> bytes:
        bearer = (
            ()
            if any(h.startswith(("authorization", "x-api-key")) for h in headers)
            else (f"authorization: Bearer {token}",)
        )
        length = f"content-length: {len(body)}"
        return post(path, "content-type: application/json", length, *bearer, *headers, body=body)

    return request


@pytest_asyncio.fixture
async def crowded(
    gateway: Gateway, backends: Backends, predict: Call, ask: Ask
) -> AsyncIterator[tuple[Wire, Callable[[], None]]]:
    """A connection to a gateway that has just refused a prediction; what ends the crowd."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await released.wait()

    backends.inference.predicts.wait = hold
    held = asyncio.create_task(predict({"text": "x"}))
    await reached.wait()
    try:
        async with served(gateway.app, early=gateway.early) as port, wire(port) as connection:
            await connection.send(ask())
            assert (await connection.answer())[0] == 503
            yield connection, released.set
    finally:
        released.set()
        await held


@asynccontextmanager
async def told(count: int) -> AsyncIterator[list[EventDict]]:
    """What the log says of so many requests."""
    with structlog.testing.capture_logs() as logs:
        lines: list[EventDict] = []
        yield lines
        lines += [each for each in logs if each["event"].startswith("http_request")]
    assert len(lines) == count


def without_ids(answer: tuple[int, dict[str, str], bytes]) -> Any:
    status, headers, body = answer
    problem = json.loads(body)
    assert headers.pop("x-request-id") == problem.pop("request_id")
    assert headers.pop("x-trace-id") == problem.pop("trace_id")
    return status, headers, problem


@pytest.mark.parametrize(
    "path", ["/predict", "/predict/batch", "/v1/models/sentiment/predict", "/v1/models/x/predict"]
)
async def test_early_refusal_says_what_the_ordinary_one_says(
    crowded: tuple[Wire, Any], ask: Ask, path: str
) -> None:
    connection, _ = crowded
    async with told(1) as lines:
        # A key's answer may be known already, so that it is looked for.
        await connection.send(ask("idempotency-key: ordinary-0123456789", path=path))
        ordinary = await connection.answer()
        await connection.send(ask(path=path))
        early = await connection.answer()
    assert [line["event"] for line in lines] == ["http_request"]
    assert without_ids(early) == without_ids(ordinary)
    assert early[0] == 503


async def test_early_refusals_are_told_in_sums(
    crowded: tuple[Wire, Any], ask: Ask, gateway: Gateway, token: str
) -> None:
    connection, _ = crowded
    with structlog.testing.capture_logs() as logs:
        for number in range(3):
            await connection.send(ask(f"x-request-id: mine-{number}"))
            _, headers, _ = await connection.answer()
            assert headers["x-request-id"] == f"mine-{number}"
        gateway.refusal_counts.tell()
    (line,) = logs
    assert (line["event"], line["count"], line["first_request_id"]) == (
        "http_requests_refused",
        3,
        "mine-0",
    )
    assert (line["client_id"], line["tenant"], line["route"], line["code"], line["status"]) == (
        "client-1",
        "tenant-1",
        "/predict",
        "GATEWAY_FULL",
        503,
    )
    assert token not in str(line)


async def test_early_refusals_are_counted(
    crowded: tuple[Wire, Any], ask: Ask, http: httpx.AsyncClient
) -> None:
    async def numbers() -> list[float]:
        text = (await http.get("/metrics")).text
        return [
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(
                (
                    'weir_http_requests_total{method="POST",route="/predict",status="503"}',
                    'weir_http_request_seconds_count{method="POST",route="/predict"}',
                    'weir_gateway_refused_items_total{bound="all"}',
                )
            )
        ]

    connection, _ = crowded
    before = await numbers()
    for _ in range(4):
        await connection.send(ask())
        await connection.answer()
    assert [after - each for after, each in zip(await numbers(), before, strict=True)] == [4, 4, 4]


async def test_early_refusal_stays_in_its_callers_trace(
    crowded: tuple[Wire, Any], ask: Ask
) -> None:
    connection, _ = crowded
    for sampled in ("00", "01"):
        await connection.send(ask(f"traceparent: 00-{TRACE}-00f067aa0ba902b7-{sampled}"))
        status, headers, body = await connection.answer()
        assert (status, headers["x-trace-id"], json.loads(body)["trace_id"]) == (503, TRACE, TRACE)


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("authorization: Basic eDp5", 401, "TOKEN_MISSING"),
        ("authorization: Bearer a.b.c", 401, "TOKEN_INVALID"),
        ("x-api-key: weir_nonsense", 401, "API_KEY_MALFORMED"),
        ("x-request-timeout: soon", 400, "REQUEST_TIMEOUT_MALFORMED"),
    ],
)
async def test_crowd_is_no_news_for_who_may_not_ask(
    crowded: tuple[Wire, Any], ask: Ask, header: str, status: int, code: str
) -> None:
    connection, _ = crowded
    await connection.send(ask(header))
    answered, _, body = await connection.answer()
    assert (answered, json.loads(body)["code"]) == (status, code)


async def test_token_is_looked_at_each_time(
    crowded: tuple[Wire, Any], ask: Ask, gateway: Gateway, issuer: FakeIssuer
) -> None:
    connection, _ = crowded
    other = f"authorization: Bearer {issuer.token('models:read')}"
    for _ in range(2):
        await connection.send(ask(other))
        assert (await connection.answer())[0] == 403
    gateway.revocations.revocations.complete = False
    await connection.send(ask())
    _, _, body = await connection.answer()
    assert json.loads(body)["code"] == "REVOCATIONS_UNKNOWN"


@pytest.mark.parametrize("pieces", [[BODY], [b"", BODY], [BODY[:3], BODY[3:]]])
async def test_connection_goes_on_after_an_early_refusal(
    crowded: tuple[Wire, Any], ask: Ask, pieces: list[bytes]
) -> None:
    connection, end = crowded
    head = ask().removesuffix(BODY)
    for _ in range(2):
        await connection.send(head + pieces[0])
        status, headers, _ = await connection.answer()
        assert (status, headers.get("connection")) == (503, None)
        for piece in pieces[1:]:
            await connection.send(piece)
    end()
    status = 503
    while status == 503:
        await connection.send(ask())
        status, _, _ = await connection.answer()
    assert status == 200


async def test_pipelined_requests_are_refused_in_order(crowded: tuple[Wire, Any], ask: Ask) -> None:
    connection, _ = crowded
    await connection.send(
        ask("x-request-id: first")
        + ask("x-request-id: second", "idempotency-key: second-0123456789")
        + ask("x-request-id: third")
    )
    for name in ("first", "second", "third"):
        status, headers, _ = await connection.answer()
        assert (status, headers["x-request-id"]) == (503, name)


@pytest.mark.parametrize("header", ["connection: close", "expect: 100-continue"])
async def test_who_asks_for_more_takes_the_ordinary_way(
    crowded: tuple[Wire, Any], ask: Ask, header: str
) -> None:
    connection, _ = crowded
    async with told(1):
        await connection.send(ask(header))
        status, headers, _ = await connection.answer()
    assert status == 503
    assert headers.get("connection") == ("close" if "close" in header else None)


async def test_api_key_is_refused_as_early(
    crowded: tuple[Wire, Any], ask: Ask, administer: Call
) -> None:
    connection, _ = crowded
    made = await administer("POST", "/v1/keys", {"scopes": ["models:predict"]})
    header = f"x-api-key: {made.json()['api_key']}"
    for lines in (1, 0):  # it is verified once
        async with told(lines):
            await connection.send(ask(header))
            assert (await connection.answer())[0] == 503


async def test_crowd_is_expected_for_a_second() -> None:
    now, looked = 0.0, []
    known = Mock(remembered=lambda *_: looked.append(now))
    route = DirectRoute("/predict", known, "models:predict", AsyncMock())
    early = EarlyRefusals(
        [route],
        {"/predict": Mock(openapi_extra=None)},
        known,
        Mock(),
        RefusalCounts(),
        clock=lambda: now,
    )
    asked = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    early.answer(asked, Mock())
    early.expect()
    now = 0.5
    early.answer(asked, Mock())
    now = 1.5
    early.answer(asked, Mock())
    assert looked == [0.5]


async def test_other_routes_are_not_crowded(crowded: tuple[Wire, Any], token: str) -> None:
    connection, _ = crowded
    await connection.send(post("/predict/none", f"authorization: Bearer {token}"))
    assert (await connection.answer())[0] == 404


async def test_scheme_is_what_a_trusted_proxy_says(crowded: tuple[Wire, Any], ask: Ask) -> None:
    connection, _ = crowded
    await connection.send(ask("x-forwarded-proto: https"))
    _, headers, _ = await connection.answer()
    assert "strict-transport-security" in headers

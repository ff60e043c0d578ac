"""GET /v1/predictions/export, up to what a client on a real connection sees of its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from gateway.assembly import Gateway
from gateway.http_server import listen, serve
from gateway.settings import Settings
from servicekit import request_context
from servicekit.errors import Exhausted, FieldViolation, InvalidInput, Unavailable
from testkit.issuer import FakeIssuer
from testkit.waiting import until
from weir.predictions.v1 import predictions_pb2

from .backends import PREDICTION_ID, Backends
from .conftest import Call
from .test_predict import refused, wrong_field

EXPORT = "/v1/predictions/export"
Audited = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def audited(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Audited:
    events: Audited = []
    monkeypatch.setattr(
        gateway.audit, "record", lambda action, **about: events.append((action, about))
    )
    return events


@pytest_asyncio.fixture
async def connected(
    app: FastAPI, backends: Backends, settings: dict[str, Any], issuer: FakeIssuer
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks to the gateway over TCP."""
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    serving = asyncio.create_task(serve(app, listener, Settings(**settings)))
    bearer = {"authorization": f"Bearer {issuer.token('predictions:export')}"}
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", headers=bearer) as client:
        yield client
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("jsonl", "application/x-ndjson"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
async def test_file_arrives_whole(
    get: Call, backends: Backends, name: str, media_type: str
) -> None:
    backends.log.export_pieces = [b"one\n", b"", b"two\n"]
    answer = await get(EXPORT, format=name)
    assert (answer.status_code, answer.content) == (200, b"one\ntwo\n")
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="predictions.{name}"'
    assert answer.headers["cache-control"] == "no-store"


async def test_export_of_nothing_is_an_empty_answer(get: Call) -> None:
    answer = await get(EXPORT)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_export_is_asked_for_with_the_tokens_tenant(get: Call, backends: Backends) -> None:
    await get(EXPORT, format="jsonl", after=PREDICTION_ID, model="m", shadow="false", tenant="x")
    (request,) = backends.log.exports.requests
    assert request == predictions_pb2.ExportPredictionsRequest(
        tenant="tenant-1",
        filter=predictions_pb2.PredictionFilter(model="m", shadow=False),
        format=predictions_pb2.EXPORT_FORMAT_JSON_LINES,
        after=PREDICTION_ID,
    )
    (principal,) = backends.log.exports.principals
    assert principal.client_id == "weir-gateway"


async def test_export_may_take_longer_than_other_requests(get: Call, backends: Backends) -> None:
    left: list[float] = []

    async def note_time() -> None:
        left.append(request_context.time_left(1e6))

    backends.log.exports.wait = note_time
    await get(EXPORT)
    assert 300 < left[0] <= 600.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "xml"), ("after", "x"), ("min_confidence", "2"), ("from", "yesterday")],
)
async def test_bad_export_is_named(get: Call, name: str, value: str) -> None:
    wrong_field(await get(EXPORT, **{name: value}), name)


async def test_what_the_log_refuses_is_a_problem(get: Call, backends: Backends) -> None:
    backends.log.exports.failure = InvalidInput(
        "Bad.", violations=[FieldViolation("filter.confidence_to", "is below confidence_from")]
    )
    wrong_field(await get(EXPORT), "max_confidence")


async def test_export_costs_one_and_nothing_when_it_is_refused(
    get: Call, backends: Backends
) -> None:
    backends.log.exports.failure = Exhausted("Full.", reason="EXPORTS_BUSY", retry_after=5)
    answer = await get(EXPORT)
    refused(answer, 503, "EXPORTS_BUSY")
    assert answer.headers["retry-after"] == "5"
    backends.log.exports.failure = None
    assert "r=999" in (await get(EXPORT)).headers["ratelimit"]


class TestSmallQuota:
    @pytest.fixture
    def clients(self, clients: list[dict[str, Any]]) -> list[dict[str, Any]]:
        clients[0]["quotas"] = [{"limit": 1, "window_seconds": 60}]
        return clients

    async def test_export_over_the_quota_is_refused(self, get: Call) -> None:
        assert (await get(EXPORT)).status_code == 200
        refused(await get(EXPORT), 429, "QUOTA_EXCEEDED")


async def test_exports_are_audited(get: Call, backends: Backends, audited: Audited) -> None:
    await get(EXPORT)
    backends.log.exports.failure = Unavailable("Away.", reason="LOG_STORE_UNAVAILABLE")
    await get(EXPORT)
    assert [(action, about["client_id"], about["tenant"]) for action, about in audited] == [
        ("predictions.export", "client-1", "tenant-1")
    ] * 2
    assert [about["reason"] for _, about in audited] == ["", "LOG_STORE_UNAVAILABLE"]


async def test_what_breaks_in_the_middle_never_looks_complete(
    connected: httpx.AsyncClient, backends: Backends
) -> None:
    backends.log.export_pieces = [b"one\n", Unavailable("Away.")]
    async with connected.stream("GET", EXPORT) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        assert await anext(lines) == "one"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(lines)
    backends.log.export_pieces = [b"one\n"]
    assert (await connected.get(EXPORT)).content == b"one\n"


async def test_client_that_goes_away_ends_the_export_while_the_log_works(
    connected: httpx.AsyncClient, backends: Backends
) -> None:
    never = asyncio.Event()
    backends.log.export_pieces = [b"", b"one\n", never.wait]
    async with connected.stream("GET", EXPORT) as answer:
        assert await anext(answer.aiter_lines()) == "one"
        assert not backends.log.export_ended.is_set()
    await until(backends.log.export_ended.is_set)


async def test_answer_begins_before_there_is_anything_to_send(
    connected: httpx.AsyncClient, backends: Backends
) -> None:
    backends.log.export_pieces = [b"", asyncio.Event().wait]
    async with connected.stream("GET", EXPORT) as answer:
        assert answer.status_code == 200
    await until(backends.log.export_ended.is_set)


async def test_client_that_reads_slowly_holds_the_log_up_and_ends_it_by_going(
    connected: httpx.AsyncClient, backends: Backends
) -> None:
    sent = 0

    class Pieces(list[bytes]):
        def __iter__(self) -> Any:
            nonlocal sent
            while sent < 1000:
                sent += 1
                yield bytes(512 * 1024)

    backends.log.export_pieces = Pieces()
    async with connected.stream("GET", EXPORT) as answer:
        await anext(answer.aiter_raw())
        for _ in range(50):
            await connected.get("/health/live")
        # Half a gigabyte; what lies in buffers is a small part of it.
        assert sent < 200
    await until(backends.log.export_ended.is_set)
    assert sent < 1000

"""RFC 9457 clause by clause, and what of RFC 9110 belongs to it."""

from http import HTTPStatus
from typing import Any

import httpx
import pytest_asyncio

from servicekit.errors import DeadlineExceeded, Internal, Unavailable
from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call

_FAILURES = (
    Internal("It broke inside."),
    Unavailable("It is away for now.", retry_after=3.0),
    DeadlineExceeded("It came too late."),
)


@pytest_asyncio.fixture
async def refusals(
    http: httpx.AsyncClient, predict: Call, get: Call, backends: Backends, issuer: FakeIssuer
) -> list[httpx.Response]:
    """One of nearly every status that problems are told with."""
    few = issuer.token("models:read")
    found = [
        await predict(content=b"{"),
        await predict({"text": "x"}, token="none"),
        await predict({"text": "x"}, token=few),
        await get("/v1/predictions/none"),
        await http.delete("/predict"),
        await predict(content=b"x" * 2_000_000),
        await predict(content=b"x", content_type="text/plain"),
        await predict({"text": ""}),
        await http.get("/nothing"),
    ]
    for failure in _FAILURES:
        backends.inference.predicts.failure = failure
        found.append(await predict({"text": "x"}))
    return found


async def test_clause_3_media_type_and_object(refusals: list[httpx.Response]) -> None:
    for answer in refusals:
        assert answer.headers["content-type"] == "application/problem+json"
        assert isinstance(answer.json(), dict)


async def test_clause_3_1_1_type_is_a_uri_and_blank_where_the_status_says_it(
    refusals: list[httpx.Response],
) -> None:
    assert {answer.json()["type"] for answer in refusals} == {"about:blank"}


async def test_clause_3_1_2_status_is_that_of_the_answer(refusals: list[httpx.Response]) -> None:
    statuses = {answer.json()["status"] for answer in refusals}
    assert statuses == {400, 401, 403, 404, 405, 413, 415, 422, 502, 503, 504}
    for answer in refusals:
        assert answer.json()["status"] == answer.status_code


async def test_clause_4_2_1_title_of_about_blank_is_the_phrase_of_the_status(
    refusals: list[httpx.Response],
) -> None:
    for answer in refusals:
        assert answer.json()["title"] == HTTPStatus(answer.status_code).phrase


async def test_clause_3_1_4_detail_helps_and_is_no_debugging(
    refusals: list[httpx.Response],
) -> None:
    for answer in refusals:
        detail = answer.json()["detail"]
        assert len(detail) > 10
        for word in ("Traceback", "grpc", "redis", "sock", ".py"):
            assert word not in detail


async def test_clause_3_1_5_instance_is_a_relative_reference(
    refusals: list[httpx.Response],
) -> None:
    for answer in refusals:
        assert answer.json()["instance"] == answer.request.url.path


async def test_clause_3_2_extensions_are_names_and_tell_problems_apart(
    refusals: list[httpx.Response],
) -> None:
    codes = set()
    for answer in refusals:
        body: dict[str, Any] = answer.json()
        assert {"code", "request_id", "trace_id"} <= set(body)
        assert all(name.isidentifier() and len(name) >= 3 for name in body)
        codes.add(body["code"])
    assert len(codes) >= 11


async def test_clause_5_nothing_of_the_inside_is_told(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = RuntimeError("password=hunter2 at /srv/secret.py")
    answer = await predict({"text": "my diagnosis"})
    assert answer.status_code == 502
    assert not {"hunter2", "secret", "diagnosis"} & set(answer.text.replace("=", " ").split())


async def test_rfc_9110_headers_that_belong_to_a_status(
    http: httpx.AsyncClient, refusals: list[httpx.Response]
) -> None:
    by_status = {answer.status_code: answer for answer in refusals}
    assert by_status[401].headers["www-authenticate"].startswith("Bearer ")
    assert 'error="insufficient_scope"' in by_status[403].headers["www-authenticate"]
    assert by_status[405].headers["allow"] == "POST"
    assert by_status[503].headers["retry-after"] == "3"

"""What every answer carries and every request may state."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI, Request
from opentelemetry.sdk.trace import TracerProvider
from starlette.responses import Response

from gateway.app import build_app
from gateway.deprecation import Deprecation
from gateway.direct_routes import OpenDirectRoute

from .backends import Backends
from .conftest import Call
from .test_predict import refused

PAGE = "https://app.example.com"


async def test_stated_timeout_bounds_the_answer_and_the_calls_behind_it(
    predict: Call, backends: Backends
) -> None:
    backends.inference.predicts.wait = asyncio.Event().wait
    await predict({"text": "x"}, path="/v1/models/broken/predict")  # connected from here on
    answer = await predict({"text": "x"}, x_request_timeout="1.5")
    refused(answer, 504, "INFERENCE_DEADLINE_EXCEEDED")
    (request,) = backends.inference.predicts.requests
    assert request.items[0].timeout.ToNanoseconds() <= 1_500_000_000


async def test_stated_timeout_makes_nothing_longer(predict: Call, backends: Backends) -> None:
    await predict({"text": "x"}, x_request_timeout="99999")
    (request,) = backends.inference.predicts.requests
    assert request.items[0].timeout.seconds <= 10


@pytest.mark.parametrize(
    "stated", ["0", "0.0", "-1", "soon", "1s", "1e3", "nan", "", "٣", "1" * 20]
)
async def test_timeout_that_cannot_be_read_is_400(predict: Call, stated: str) -> None:
    headers = {"x-request-timeout": stated.encode()}
    if not stated:
        assert (await predict({"text": "x"}, x_request_timeout="")).status_code == 400
        return
    answer = await predict({"text": "x"}, **headers)
    problem = refused(answer, 400, "REQUEST_TIMEOUT_MALFORMED")
    assert problem["errors"][0]["field"] == "X-Request-Timeout"


async def test_no_page_may_call_where_none_is_listed(http: httpx.AsyncClient) -> None:
    headers = {"origin": PAGE, "access-control-request-method": "POST"}
    preflight = await http.options("/predict", headers=headers)
    assert preflight.status_code == 405
    answer = await http.get("/health/live", headers={"origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control")]


class TestWithAListedOrigin:
    @pytest.fixture
    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings | {"cors_origins": f"https://other.example, {PAGE}"}

    async def test_preflight_is_answered_without_a_token(self, http: httpx.AsyncClient) -> None:
        headers = {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,idempotency-key",
        }
        answer = await http.options("/predict", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["x-request-id"]

    async def test_listed_page_may_read_answers_refusals_too(
        self, http: httpx.AsyncClient, predict: Call
    ) -> None:
        for answer in (
            await predict({"text": "x"}, origin=PAGE),
            await http.post("/predict", headers={"origin": PAGE}),
        ):
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "origin" in answer.headers["vary"].lower()
            assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil", "null"])
    async def test_other_pages_may_not(self, http: httpx.AsyncClient, origin: str) -> None:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        for answer in (
            await http.options("/predict", headers=headers),
            await http.get("/health/live", headers={"origin": origin}),
        ):
            assert "access-control-allow-origin" not in answer.headers


class TestWithEveryOrigin:
    @pytest.fixture
    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings | {"cors_origins": "*"}

    async def test_any_page_may_call_without_credentials(self, predict: Call) -> None:
        answer = await predict({"text": "x"}, origin="https://evil.example", cookie="a=b")
        assert "access-control-allow-credentials" not in answer.headers


async def test_much_data_is_compressed_for_who_accepts_it(
    http: httpx.AsyncClient, get: Call, backends: Backends
) -> None:
    backends.log.prediction.probabilities.update({f"label-{n}": 0.01 for n in range(200)})
    answer = await get("/v1/predictions")
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(answer.json()["predictions"][0]["probabilities"]) == 202
    plain = await http.get("/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_small_answers_and_those_with_secrets_are_not_compressed(
    http: httpx.AsyncClient, get: Call
) -> None:
    assert "content-encoding" not in (await get("/v1/predictions")).headers
    for path in ("/.well-known/oauth-authorization-server", "/metrics", "/oauth2/token"):
        assert "content-encoding" not in (await http.get(path)).headers


async def test_export_is_compressed_on_its_way_and_parquet_is_not(
    get: Call, backends: Backends
) -> None:
    backends.log.export_pieces = [b"line\n" * 1000, b"last\n"]
    lines = await get("/v1/predictions/export", format="csv")
    assert lines.headers["content-encoding"] == "gzip"
    assert lines.content.endswith(b"line\nlast\n")
    table = await get("/v1/predictions/export", format="parquet")
    assert "content-encoding" not in table.headers


async def test_feature_policy_is_told(http: httpx.AsyncClient) -> None:
    assert "camera=()" in (await http.get("/health/live")).headers["permissions-policy"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressed_body_is_read(predict: Call, coding: str) -> None:
    plain = b'{"text": "good"}'
    body = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    answer = await predict(content=body, content_encoding=coding)
    assert answer.status_code == 200


async def test_gzip_bomb_is_413_and_other_codings_are_415(predict: Call) -> None:
    bomb = gzip.compress(b'{"text": "' + b"a" * 50_000_000)
    assert len(bomb) < 1024 * 1024
    refused(await predict(content=bomb, content_encoding="gzip"), 413, "BODY_TOO_LARGE")
    for coding in ("br", "zstd", "gzip, gzip", "compress"):
        answer = await predict(content=b"x", content_encoding=coding)
        refused(answer, 415, "CONTENT_TYPE_UNSUPPORTED")
    refused(await predict(content=b"x", content_encoding="gzip"), 400, "BODY_MALFORMED")


class TestDeprecation:
    @pytest.fixture
    def app(self, tracer_provider: TracerProvider) -> FastAPI:
        router = APIRouter()
        farewell = Deprecation(
            since=datetime(2026, 11, 1, tzinfo=UTC),
            sunset=datetime(2027, 5, 1, tzinfo=UTC),
            link="https://weir.example/changes",
        )

        @router.get("/v1/old", summary="Old", tags=["old"], **farewell.described())
        async def old() -> Response:
            return Response()

        @router.get("/v1/new", summary="New", tags=["new"])
        async def new() -> Response:
            return Response()

        @router.post("/v1/old/direct", **farewell.described())
        @router.post("/v1/new/direct")
        async def direct(request: Request) -> Response:
            return Response()

        return build_app(
            [router],
            request_timeout=1.0,
            tracer_provider=tracer_provider,
            direct=[
                OpenDirectRoute("/v1/old/direct", direct),
                OpenDirectRoute("/v1/new/direct", direct),
            ],
        )

    @pytest_asyncio.fixture
    async def old_http(self, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client

    async def test_route_says_that_it_will_go_away(self, old_http: httpx.AsyncClient) -> None:
        headers = (await old_http.get("/v1/old")).headers
        assert headers["deprecation"] == "@1793491200"  # RFC 9745: a date of RFC 9651
        assert headers["sunset"] == "Sat, 01 May 2027 00:00:00 GMT"  # RFC 8594
        assert 'rel="deprecation"' in headers["link"]
        described = (await old_http.get("/openapi.json")).json()["paths"]["/v1/old"]["get"]
        assert described["deprecated"] is True

    async def test_direct_route_says_what_is_declared_of_it(
        self, old_http: httpx.AsyncClient
    ) -> None:
        headers = (await old_http.post("/v1/old/direct")).headers
        assert {"deprecation", "sunset", "link"} <= set(headers)

    async def test_others_say_nothing(self, old_http: httpx.AsyncClient) -> None:
        for answer in (await old_http.get("/v1/new"), await old_http.post("/v1/new/direct")):
            assert not {"deprecation", "sunset", "link"} & set(answer.headers)

"""Reports of drift as pages and texts."""

import httpx
import pytest

from servicekit.errors import NotFound
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2 as pb

from .backends import Backends
from .conftest import Call
from .test_predict import refused

LATEST = "/v1/drift/models/sentiment/reports/latest"
STYLE = "style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


async def test_page_is_what_drift_rendered(get: Call, backends: Backends) -> None:
    answer = await get(f"{LATEST}.html", version="1")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == backends.drift.rendered.content
    (asked,) = backends.drift.calls.requests
    assert (asked.model, asked.version) == ("sentiment", "1")
    assert asked.format == pb.REPORT_FORMAT_HTML


async def test_page_may_have_its_own_style_and_nothing_else(get: Call) -> None:
    answer = await get(f"{LATEST}.html")
    (policy,) = answer.headers.get_list("content-security-policy")
    assert STYLE in policy
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_other_answers_keep_the_policy_that_allows_nothing(get: Call) -> None:
    answer = await get(LATEST)
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy == "default-src 'none'; frame-ancestors 'none'"


async def test_hash_that_is_none_does_not_reach_the_policy(get: Call, backends: Backends) -> None:
    backends.drift.rendered.style_sha256 = "x'; script-src *; style-src 'self"
    policy = (await get(f"{LATEST}.html")).headers["content-security-policy"]
    assert "src" not in policy.removeprefix("default-src 'none'; ")


async def test_text_is_markdown(get: Call, backends: Backends) -> None:
    backends.drift.rendered = pb.RenderedReport(content=b"# Drift", digest="00")
    answer = await get(f"{LATEST}.md")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == "# Drift"
    assert backends.drift.calls.requests[0].format == pb.REPORT_FORMAT_MARKDOWN


@pytest.mark.parametrize(
    "known", ['W/"0011223344556677"', '"0011223344556677"', '"a", W/"0011223344556677"', "*"]
)
async def test_page_that_is_known_is_not_sent_again(
    http: httpx.AsyncClient, issuer: FakeIssuer, known: str
) -> None:
    answer = await http.get(f"{LATEST}.html", headers=_headers(issuer, known))
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == 'W/"0011223344556677"'


async def test_page_that_changed_is_sent(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await http.get(f"{LATEST}.html", headers=_headers(issuer, 'W/"ffff"'))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("extension", ["html", "md"])
async def test_unknown_model_is_404(get: Call, backends: Backends, extension: str) -> None:
    backends.drift.calls.failure = NotFound("No.", reason="MODEL_UNKNOWN")
    refused(await get(f"/v1/drift/models/other/reports/latest.{extension}"), 404, "MODEL_UNKNOWN")


def _headers(issuer: FakeIssuer, known: str) -> dict[str, str]:
    token = issuer.token("drift:read")
    return {"authorization": f"Bearer {token}", "if-none-match": known}

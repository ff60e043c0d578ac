"""Every service writes one JSON object a line; a request can be followed through all of them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testkit.platform import Platform, wait_until

TRACE = "7d1e5e43c8a04f1fb0e2a1c7c8a9b0d1"
REQUEST = "follow-me-through-the-logs"
SERVICES = ("gateway", "inference", "prediction_log", "drift")


def lines(platform: Platform, service: str) -> Iterator[dict[str, Any]]:
    for line in platform.home.log_file(service).read_text().splitlines():
        yield json.loads(line)


@pytest.fixture(scope="module")
def followed(platform: Platform) -> Platform:
    with platform.client() as api:
        stated = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": REQUEST}
        made = api.post("/predict", json={"text": "Seen by all."}, headers=stated)
        path = f"/v1/predictions/{made.raise_for_status().json()['prediction_id']}"
        wait_until(lambda: api.get(path).status_code == 200, path)
        api.get(path, headers=stated).raise_for_status()
        api.get("/v1/drift/reports", headers=stated)
    return platform


@pytest.mark.parametrize("service", SERVICES)
def test_every_line_says_when_who_and_how_bad(followed: Platform, service: str) -> None:
    for line in lines(followed, service):
        assert {"timestamp", "service", "instance", "level", "event"} <= set(line)
        assert line["service"] == service


@pytest.mark.parametrize("service", ["gateway", "inference", "prediction_log"])
def test_a_request_is_found_by_its_id_and_by_its_trace(followed: Platform, service: str) -> None:
    by_request = [line for line in lines(followed, service) if line.get("request_id") == REQUEST]
    assert by_request
    assert {line["trace_id"] for line in by_request} == {TRACE}


def test_a_failure_inside_names_the_request_that_met_it(platform: Platform) -> None:
    answer = httpx.get(
        f"{platform.endpoints.http}/v1/predictions/none", headers={"x-request-id": "refused-one"}
    )
    assert answer.status_code == 401
    (line,) = (
        each for each in lines(platform, "gateway") if each.get("request_id") == "refused-one"
    )
    assert (line["event"], line["status"]) == ("http_request", 401)
    assert len(line["trace_id"]) == 32

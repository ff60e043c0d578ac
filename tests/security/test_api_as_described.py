"""Every route, sent what schemathesis makes of its description, sound and unsound.

Routes are found in the description itself, so a new one is tested as soon as it is there. Whatever
is sent, nothing breaks, and every answer has a status, a type and a form that the description told.
`make fuzz-api` sends more.
"""

import os
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from testkit.platform import Platform

EXAMPLES = int(os.environ.get("WEIR_TEST_API_EXAMPLES", "4"))
"""Requests for each operation and kind; `make fuzz-api` sends more."""
BROKEN = frozenset({500, 502})
"""A fault of ours; 503 and 504 are what a request with a tiny timeout may be told."""
UNSOUND = schemathesis.GenerationMode.NEGATIVE
TOKEN_FREE = ("/oauth2/", "/health", "/v2/health", "/.well-known")
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


def described(platform: Platform) -> Iterator[Any]:
    """Every operation of the API."""
    document = schemathesis.openapi.from_url(f"{platform.endpoints.http}/openapi.json")
    for result in document.get_all_operations():
        yield result.ok()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_route_answers_as_described(
    platform: Platform, mode: schemathesis.GenerationMode, subtests: pytest.Subtests
) -> None:
    headers = {"authorization": f"Bearer {platform.token()}"}
    seen = 0
    for operation in described(platform):
        if operation.path == "/oauth2/revoke":
            continue  # it might be sent the token that the others use

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            sent = {} if case.path.startswith(TOKEN_FREE) else headers
            answer = case.call(headers=sent)
            assert answer.status_code not in BROKEN, answer.text
            case.validate_response(answer, checks=CHECKS)

        # Where a request has no part that could be wrong, there is no unsound one.
        nothing_wrong = suppress(Unsatisfiable) if mode is UNSOUND else nullcontext()
        with subtests.test(operation=operation.label), nothing_wrong:
            send()
        seen += 1
    assert seen > 30

"""Whatever a path or a query of the log's routes holds is a value: found, refused, never run."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from security.world import EVERYTHING, MINE, Operation, World

# Hundreds of requests, also where the machine is busy.
pytestmark = pytest.mark.timeout(600)

NASTY = [
    "'; DROP TABLE prediction_logs; --",
    "' OR '1'='1",
    "1) UNION SELECT * FROM audit_log --",
    "\\'; SELECT pg_sleep(5); --",
    "$$; SELECT 1; $$",
    "%",
    "_",
    "*",
    "{{7*7}}",
    "${7*7}",
    "{0.__class__}",
    "%s%n%x",
    "../../../../etc/passwd",
    "..\\..\\secrets",
    "a\0b",
    "a\r\nSet-Cookie: x=1",
    "\u202e\U0001f512",
    "9" * 400,
    "-1",
    "1e999",
    "x" * 4000,
]
RAW = ["%ED%A0%80", "%FF%FE", "..%2f..%2f", "%2e%2e/%2e%2e/", "%00"]
"""As they stand in an address."""
LOG_ROUTES = ("/v1/predictions", "/v1/stats", "/v1/erasures", "/v1/audit")
FINE = {200, 202, 400, 404, 405, 422}
_FAULT = re.compile(r"syntax error|invalid input syntax|unterminated|invalid byte sequence")


@pytest.fixture(autouse=True, scope="module")
def nothing_reached_the_parser(world: World) -> Iterator[None]:
    """PostgreSQL's own log tells what it could not parse."""
    log = world.platform.home.log_file("postgres")
    before = log.stat().st_size
    yield
    with log.open("rb") as file:
        file.seek(before)
        assert _FAULT.findall(file.read().decode("utf-8", "replace")) == []


def log_routes(world: World) -> list[Operation]:
    found = [each for each in world.operations if each.path.startswith(LOG_ROUTES)]
    assert len(found) >= 9
    return found


def test_values_of_queries(world: World) -> None:
    with world.api(MINE, *EVERYTHING) as api:
        for operation in log_routes(world):
            if operation.method != "GET":
                continue
            path = operation.url(**world.owned)
            for name in operation.queries:
                for value in [*map(quote, NASTY), *RAW]:
                    answer = api.get(f"{path}?{name}={value}")
                    assert answer.status_code in FINE, (operation.name, name, value, answer.text)
                    assert "set-cookie" not in answer.headers
                    for secret in world.secrets:
                        assert secret not in answer.text.replace(path, "")


def test_values_of_paths(world: World) -> None:
    with world.api(MINE, *EVERYTHING) as api:
        for operation in log_routes(world):
            for name in operation.parameters:
                for value in [*(quote(each, safe="") for each in NASTY), *RAW]:
                    path = operation.path.replace(f"{{{name}}}", value)
                    body = {"correct_label": "x"} if operation.media_type else None
                    answer = api.request(operation.method, path, json=body)
                    assert answer.status_code in FINE - {200, 202}, (path, answer.text)


def test_names_of_parameters_and_orders_count_for_nothing(world: World) -> None:
    with world.api(MINE, *EVERYTHING) as api:
        for query in ("order_by=id;DROP", "tenant[]=a", "limit[$gt]=1", "__proto__=x", "a=1&a=2"):
            answer = api.get(f"/v1/predictions?{query}")
            assert answer.status_code in FINE
            assert answer.json().get("predictions", []) == []

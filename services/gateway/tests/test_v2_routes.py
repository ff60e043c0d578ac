"""The Open Inference Protocol over REST, before an inference service whose answers tests choose."""

import gzip
import json
import os
import random
import struct
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.assembly import Gateway
from servicekit.errors import DeadlineExceeded, Exhausted, InvalidInput, Unavailable
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2

from .backends import Backends
from .conftest import Call
from .oip_backend import inputs
from .v2_mutations import mutated, sample_bodies

INFER = "/v2/models/sentiment/infer"
FUZZED_REQUESTS = int(os.environ.get("WEIR_TEST_FUZZED_REQUESTS", "500"))
"""How many go through the whole application; `make fuzz` sends more."""


def refused(answer: httpx.Response, status: int, *told: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    for word in told:
        assert word in body["error"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


@pytest.fixture
def post(http: httpx.AsyncClient, issuer: FakeIssuer) -> Call:
    """POSTs to a route with a token of the scopes, or the given one."""

    async def call(
        path: str, body: Any = None, *scopes: str, token: str | None = None, **options: Any
    ) -> httpx.Response:
        bearer = issuer.token(*scopes) if token is None else token
        headers = {"authorization": f"Bearer {bearer}", **options.pop("headers", {})}
        return await http.post(path, json=body, headers=headers, **options)

    return call


async def test_texts_are_predicted_from_json_to_json(predict: Call) -> None:
    answer = await predict(inputs("good", "bad") | {"id": "a-1"}, path=INFER)
    assert answer.json() == {
        "model_name": "sentiment",
        "model_version": "1",
        "id": "a-1",
        "parameters": {"unlogged": True},
        "outputs": [
            {
                "name": "label",
                "datatype": "BYTES",
                "shape": [2],
                "data": ["positive", "positive"],
            },
            {"name": "confidence", "datatype": "FP32", "shape": [2], "data": [0.75, 0.75]},
        ],
    }


async def test_binary_tensors_travel_both_ways_untouched(predict: Call, backends: Backends) -> None:
    raw = b"\x04\0\0\0good"
    tensor = {
        "name": "text",
        "datatype": "BYTES",
        "shape": [1, 1],
        "parameters": {"binary_data_size": len(raw)},
    }
    wanted = [{"name": "label"}, {"name": "confidence", "parameters": {"binary_data": True}}]
    header = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    answer = await predict(
        path="/v2/models/sentiment/versions/1/infer",
        content=header + raw,
        **{"inference-header-content-length": str(len(header))},
    )
    length = int(answer.headers["inference-header-content-length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    told = json.loads(answer.content[:length])
    assert told["outputs"][1]["parameters"] == {"binary_data_size": 4}
    assert answer.content[length:] == struct.pack("<f", 0.75)
    (request,) = backends.oip.requests
    assert (request.model_version, list(request.raw_input_contents)) == ("1", [raw])


async def test_caller_is_stated_by_the_gateway_alone(predict: Call, backends: Backends) -> None:
    spoofed = {"tenant": "zeta", "client_id": "z-1", "weir-delegation-bin": "x"}
    answer = await predict(
        inputs("good") | {"parameters": spoofed},
        path=INFER,
        **{"weir-delegation-bin": "eA==", "grpc-metadata-weir-delegation-bin": "eA=="},
    )
    assert answer.status_code == 200
    (said,) = backends.oip.delegations
    assert (said.caller.tenant, said.caller.client_id) == ("tenant-1", "client-1")
    (principal,) = backends.oip.principals
    assert principal.client_id == "weir-gateway"


async def test_every_row_costs_quota_and_refusals_cost_nothing(
    predict: Call, backends: Backends, issuer: FakeIssuer
) -> None:
    token = issuer.token("models:predict", client_id="frugal")

    async def send(*texts: str) -> httpx.Response:
        answer: httpx.Response = await predict(inputs(*texts), path=INFER, token=token)
        return answer

    backends.oip.failure = InvalidInput("Row 1: The text is blank.")
    refused(await send("a", " "), 400, "Row 1: The text is blank.")
    backends.oip.failure = None
    answer = await send("a", "b")
    assert "r=1" in answer.headers["ratelimit"]
    answer = await send("a", "b")
    refused(answer, 429, "quota")
    assert answer.headers["retry-after"]
    refused(await send(*"abcd"), 400, "never holds more than")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Unavailable("Away.", retry_after=2), 503),
        (Exhausted("Full."), 503),
        (DeadlineExceeded("Late."), 504),
        (ValueError("broken"), 502),
    ],
)
async def test_failures_of_inference_keep_their_kind(
    predict: Call, backends: Backends, failure: Exception, status: int
) -> None:
    backends.oip.failure = failure
    refused(await predict(inputs("good"), path=INFER), status)


async def test_unknown_model_is_not_found(predict: Call) -> None:
    path = "/v2/models/absent/infer"
    refused(await predict(inputs("good"), path=path), 404, "no model 'absent'")


async def test_bad_bodies_and_tokens_have_the_protocols_errors(
    predict: Call, issuer: FakeIssuer, http: httpx.AsyncClient
) -> None:
    refused(await predict(content=b"{", path=INFER), 400, "JSON")
    refused(await predict(inputs("a", shape=[-1]), path=INFER), 400, "inputs[0].shape[0]")
    refused(await predict(content=b"x" * 1_100_000, path=INFER), 413)
    refused(await predict(inputs("a"), path=INFER, token=issuer.token("models:read")), 403)
    refused(await predict(inputs("a"), path=INFER, content_encoding="br"), 415)
    answer = await http.post(INFER, json=inputs("a"))
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(await http.get("/v2/nowhere"), 404)
    refused(await http.get(INFER), 405)


async def test_coded_bodies_without_a_content_type_are_read(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    answer = await http.post(
        INFER,
        content=gzip.compress(json.dumps(inputs("good")).encode()),
        headers={
            "authorization": f"Bearer {issuer.token('models:predict')}",
            "content-encoding": "gzip",
        },
    )
    assert answer.status_code == 200


async def test_health_needs_no_token(http: httpx.AsyncClient, backends: Backends) -> None:
    assert (await http.get("/v2/health/live")).json() == {"live": True}
    answer = await http.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})
    await backends.stop("inference")
    answer = await http.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})


async def test_server_and_models_describe_themselves(get: Call) -> None:
    assert (await get("/v2")).json()["extensions"] == ["statistics", "binary_tensor_data"]
    metadata = (await get("/v2/models/sentiment", "models:read")).json()
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert (await get("/v2/models/sentiment/versions/1")).json() == metadata
    config = (await get("/v2/models/sentiment/config")).json()
    assert config["input"] == [{"name": "text", "data_type": "TYPE_STRING", "dims": [1]}]
    assert (await get("/v2/models/sentiment/versions/1/config")).json() == config
    (counted,) = (await get("/v2/models/stats")).json()["model_stats"]
    assert counted["inference_count"] == 3
    for path in ("/v2/models/sentiment/stats", "/v2/models/sentiment/versions/1/stats"):
        assert (await get(path)).json()["model_stats"] == [counted]
    refused(await get("/v2", "models:predict"), 403)


async def test_readiness_of_models_is_in_status_and_body(get: Call, backends: Backends) -> None:
    for path in ("/v2/models/sentiment/ready", "/v2/models/sentiment/versions/1/ready"):
        answer = await get(path)
        assert (answer.status_code, answer.json()) == (200, {"name": "sentiment", "ready": True})
    backends.oip.ready = False
    answer = await get("/v2/models/sentiment/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    refused(await get("/v2/models/absent/ready"), 404)


async def test_repository_is_listed(post: Call, backends: Backends) -> None:
    entry = {"name": "sentiment", "version": "1", "state": "READY", "reason": ""}
    assert (await post("/v2/repository/index", {"ready": True}, "models:read")).json() == [entry]
    assert backends.oip.requests[-1].ready
    assert (await post("/v2/repository/index", None, "models:read")).json() == [entry]
    refused(await post("/v2/repository/index", {"ready": 1}, "models:read"), 400, "ready")


async def test_models_are_loaded_and_unloaded_by_who_may(
    post: Call, backends: Backends, gateway: Gateway, redis: Redis
) -> None:
    load, unload = (f"/v2/repository/models/sentiment/{each}" for each in ("load", "unload"))
    assert (await post(load, None, "models:manage")).status_code == 200
    ignored = {"parameters": {"unload_dependents": False}}
    assert (await post(unload, ignored, "models:manage")).status_code == 200
    refused(await post(load, None, "models:predict", "models:read"), 403, "models:manage")
    override = {"parameters": {"config": "{}"}}
    refused(await post(load, override, "models:manage"), 400, "config")
    refused(await post("/v2/repository/models/absent/load", None, "models:manage"), 404)
    backends.oip.control_disabled = True
    refused(await post(unload, None, "models:manage"), 403, "Not here.")

    await gateway.audit.flush()
    entries = await redis.xrange("weir:audit")
    events = [events_pb2.AuditRecorded.FromString(fields[b"data"]) for _, fields in entries]
    assert [(each.action, each.target, each.reason) for each in events] == [
        ("model.load", "sentiment", ""),
        ("model.unload", "sentiment", ""),
        ("model.load", "sentiment", "SCOPE_MISSING"),
        ("model.load", "sentiment", "INVALID_INPUT"),
        ("model.load", "absent", "MODEL_UNKNOWN"),
        ("model.unload", "sentiment", "MODEL_CONTROL_DISABLED"),
    ]


@pytest.fixture
def generous(clients: list[dict[str, Any]]) -> None:
    """A client that no quota stops."""
    clients[0]["quotas"] = [{"limit": 1_000_000_000, "window_seconds": 60}]


async def test_no_mutated_request_is_answered_with_a_fault_of_ours(
    generous: None, predict: Call
) -> None:
    chosen = random.Random(7)
    statuses: dict[int, int] = {}
    for content, length in mutated(sample_bodies(), chosen, FUZZED_REQUESTS):
        headers = {} if length is None else {"inference-header-content-length": length.encode()}
        answer = await predict(path=INFER, content=content, **headers)
        assert answer.status_code in (200, 400), answer.text
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert statuses[200]
    assert statuses[400]

"""Whatever is sent, the answer is clear, never a 500, and nothing of it is logged."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from testkit.platform import Platform, wait_until

PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True, scope="module")
def nothing_is_logged(platform: Platform) -> Iterator[None]:
    """Whatever this module sends, the log holds one more prediction at its end: the marker."""
    with platform.client() as api:
        before = logged_predictions(api)
        yield
        assert logged_predictions(api) == before + 1


def logged_predictions(api: httpx.Client) -> int:
    """How many there are, once all that was published before is surely written."""
    marker = api.post("/predict", json={"text": "A marker."}).json()["prediction_id"]
    path = f"/v1/predictions/{marker}"
    wait_until(lambda: api.get(path).status_code == 200, "the marker", within=5.0)
    count: int = api.get("/v1/stats").json()["predictions"]
    return count


def check_problem(answer: httpx.Response, status: int, *told: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith(PROBLEM)
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    for word in told:
        assert word in answer.text
    return problem


def signing_key(platform: Platform) -> ECKey:
    """The gateway's own, which is the only one of a fresh platform."""
    (file,) = (platform.home.identity / "signing-keys").glob("*.pem")
    return ECKey.import_key(file.read_bytes())


def signed(platform: Platform, key: ECKey | None = None, **changes: Any) -> str:
    """A token like the gateway's own, but for the changes."""
    genuine = platform.token()
    header, claims = (decode(part) for part in genuine.split(".")[:2])
    secret = key or signing_key(platform)
    head = {**header, **changes.pop("header", {})}
    return jwt.encode(head, {**claims, **changes}, secret, algorithms=["ES256"])


def decode(part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return content


def post(platform: Platform, token: str | None, **options: Any) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    content = options or {"json": {"text": "Good."}}
    return httpx.post(f"{platform.endpoints.http}/predict", headers=headers, **content)


def test_genuine_token_is_taken(platform: Platform) -> None:
    with platform.client(signed(platform, signing_key(platform))) as client:
        assert client.get("/v1/models").status_code == 200


def test_no_token(platform: Platform) -> None:
    answer = post(platform, None)
    check_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_expired_token(platform: Platform) -> None:
    token = signed(platform, exp=int(time.time()) - 10)
    answer = post(platform, token)
    check_problem(answer, 401, "expired")
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_wrong_audience(platform: Platform) -> None:
    check_problem(post(platform, signed(platform, aud="somebody-else")), 401)


def test_wrong_issuer(platform: Platform) -> None:
    check_problem(post(platform, signed(platform, iss="https://somebody.else")), 401)


def test_algorithm_none(platform: Platform) -> None:
    header, claims, _ = platform.token().split(".")
    unsigned = base64.urlsafe_b64encode(
        json.dumps({**decode(header), "alg": "none"}).encode()
    ).decode()
    check_problem(post(platform, f"{unsigned.rstrip('=')}.{claims}."), 401)


def test_foreign_key(platform: Platform) -> None:
    check_problem(post(platform, signed(platform, ECKey.generate_key("P-256"))), 401)


def test_missing_scope(platform: Platform) -> None:
    answer = post(platform, signed(platform, scope="models:read"))
    check_problem(answer, 403, "models:predict")
    assert "insufficient_scope" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\u00e9"])
def test_nonsense_token(platform: Platform, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".strip().encode("latin-1")}
    answer = httpx.post(
        f"{platform.endpoints.http}/predict", headers=headers, json={"text": "Good."}
    )
    check_problem(answer, 401)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "text"),
        (" \t\n ", "text"),
        ("x" * 5001, "5000"),
        ("good\0day", "text"),
        (7, "text"),
        (None, "text"),
        (["good"], "text"),
        ({"a": 1}, "text"),
        (True, "text"),
    ],
    ids=["empty", "blank", "too-long", "nul", "number", "null", "list", "object", "boolean"],
)
def test_text_that_is_none(api: httpx.Client, text: object, told: str) -> None:
    check_problem(api.post("/predict", json={"text": text}), 422, told)


@pytest.mark.parametrize("escaped", [r"\ud800", r"\udfff", r"good \ud83d day"])
def test_lone_surrogate(api: httpx.Client, escaped: str) -> None:
    body = f'{{"text": "{escaped}"}}'
    answer = api.post("/predict", content=body, headers={"Content-Type": "application/json"})
    check_problem(answer, 422, "text")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"text": "a"', b"\xff\xfe", b'{"text": "\xff"}', b"[" * 100_000]
)
def test_broken_json(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    check_problem(answer, answer.status_code)


@pytest.mark.parametrize("body", [[], "text", 1, None, {}, {"text": "a", "unknown": 1}])
def test_json_of_another_shape(api: httpx.Client, body: object) -> None:
    headers = {"Content-Type": "application/json"}
    check_problem(api.post("/predict", content=json.dumps(body), headers=headers), 422)


def test_another_content_type(api: httpx.Client) -> None:
    answer = api.post("/predict", content=b"text=good", headers={"Content-Type": "text/plain"})
    check_problem(answer, 415)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_body_over_the_limit(api: httpx.Client, declared: bool) -> None:
    body = json.dumps({"text": "x" * 2_000_000}).encode()
    content = body if declared else iter([body[:1_000_000], body[1_000_000:]])
    answer = api.post("/predict", content=content, headers={"Content-Type": "application/json"})
    check_problem(answer, 413)


@pytest.mark.parametrize("size", [0, 257])
def test_batch_of_nothing_and_of_too_many(api: httpx.Client, size: int) -> None:
    check_problem(api.post("/predict/batch", json={"texts": ["Good."] * size}), 422, "texts")


def test_one_bad_text_refuses_its_batch_whole(api: httpx.Client) -> None:
    answer = api.post("/predict/batch", json={"texts": ["Good.", " ", "Bad."]})
    check_problem(answer, 422, "texts", "1")


def test_unknown_model(api: httpx.Client) -> None:
    check_problem(api.post("/v1/models/absent/predict", json={"text": "Good."}), 404, "absent")


@pytest.mark.parametrize("identifier", ["0", "x" * 300, "00000000-0000-7000-8000-000000000000"])
def test_unknown_prediction(api: httpx.Client, identifier: str) -> None:
    answer = api.get(f"/v1/predictions/{identifier}")
    assert answer.status_code in {404, 422}
    check_problem(answer, answer.status_code)


@pytest.mark.parametrize("query", ["cursor=forged", "limit=0", "limit=x", "from=yesterday"])
def test_unusable_list_query(api: httpx.Client, query: str) -> None:
    check_problem(api.get(f"/v1/predictions?{query}"), 422)


def test_unknown_route_and_method(api: httpx.Client) -> None:
    check_problem(api.get("/nowhere"), 404)
    check_problem(api.get("/predict"), 405)


def test_unknown_client_and_wrong_secret_look_the_same(platform: Platform) -> None:
    client_id, secret = platform.client_credentials()
    answers = [
        httpx.post(
            f"{platform.endpoints.http}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=credentials,
        )
        for credentials in [("nobody", secret), (client_id, "wrong")]
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["error"] == "invalid_client"

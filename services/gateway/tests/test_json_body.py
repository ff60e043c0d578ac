"""JSON that two readers would read in two ways, or that is made to be hard to read, is refused."""

import json
import time
from typing import Any

import httpx
import pytest

from gateway import json_body
from gateway.request_errors import DuplicateKey, JsonTooDeep, JsonTooLarge, MalformedBody
from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call
from .test_predict import refused


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("text", ['{"a": [1, {"b": null}], "c": "[[[[{{{{"}', "[]", "1.5", '"x"'])
def test_ordinary_json_is_read(text: str) -> None:
    assert json_body.read(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": 1, "a": 1}',
        '[{"b": {"a": 1, "\\u0061": 2}}]',
        '{"": 1, "": 2}',
    ],
)
def test_key_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(DuplicateKey):
        json_body.read(text.encode())


def test_depth_is_bounded_exactly() -> None:
    json_body.read(nested(json_body.MOST_LEVELS))
    for levels in (json_body.MOST_LEVELS + 1, 900, 100_000):
        with pytest.raises(JsonTooDeep):
            json_body.read(nested(levels))
    with pytest.raises(JsonTooDeep):
        json_body.read(b'{"a":' * 40 + b"1" + b"}" * 40)


def test_wide_json_is_not_deep() -> None:
    rows = [[1.5, 2.5]] * 1000
    assert json_body.read(json.dumps({"data": rows}).encode()) == {"data": rows}


def test_keys_are_counted_over_all_objects() -> None:
    few: Any = [{str(n): n for n in range(100)}] * 100
    assert json_body.read(json.dumps(few).encode()) == few
    with pytest.raises(JsonTooLarge):
        json_body.read(json.dumps([*few, {"one": 1}]).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"{'a': 1}",
        b"[1,]",
        b"01",
        b"[1] [2]",
        b"1" * 5000,
        b'"\xed\xa0\x80"',
        b'"a\x00b"',
        b"/**/{}",
    ],
)
def test_what_is_not_json_in_utf8_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedBody):
        json_body.read(content)


@pytest.mark.parametrize("content", [nested(500_000), b"[{}," * 200_000, b'{"a":' * 170_000])
def test_a_megabyte_made_to_be_hard_takes_no_time(content: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedBody):
        json_body.read(content)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"text": "a", "text": "b"}', "JSON_KEY_DUPLICATE"),
        (b'{"text": ' + nested(5000) + b"}", "JSON_TOO_DEEP"),
        (b'{"text": "a\x00"}', "BODY_MALFORMED"),
        (b'{"text": "\xc3\x28"}', "BODY_MALFORMED"),
        (b'{"text": 1' + b"0" * 5000 + b"}", "BODY_MALFORMED"),
    ],
)
async def test_refusals_are_problems(
    predict: Call, backends: Backends, content: bytes, code: str
) -> None:
    refused(await predict(content=content), 400, code)
    assert backends.inference.predicts.requests == []


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e-999", "9" * 400, "0.1e1", "-0", "1E400"])
async def test_huge_numbers_in_place_of_a_text_are_refused(predict: Call, number: str) -> None:
    refused(await predict(content=f'{{"text": {number}}}'.encode()), 422, "INVALID_INPUT")


ODD_TEXTS = [
    "'; DROP TABLE predictions; --",
    "' OR '1'='1",
    "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}",
    "{0.__class__.__mro__}",
    "%s%s%s%n",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\r\nSet-Cookie: a=b",
    "$(touch /tmp/x) `id`",
    "\u202eright to left\u2066",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_text_is_only_ever_a_text(predict: Call, backends: Backends, text: str) -> None:
    answer = await predict({"text": text})
    assert answer.status_code == 200
    assert backends.inference.predicts.requests[0].items[0].text == text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("word", ODD_TEXTS)
async def test_odd_words_in_a_query_are_words(get: Call, word: str) -> None:
    for name in ("model", "label", "client_id", "cursor", "from", "limit", "input_sha256"):
        answer = await get("/v1/predictions", **{name: word})
        assert answer.status_code in (200, 422), answer.text
        assert "49" not in answer.json().get("detail", "")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=5&limit=100000", 422),
        ("limit=x&limit=5", 200),
        ("shadow=true&shadow=x", 422),
        ("limit=5&limit=7", 200),
    ],
)
async def test_of_a_parameter_that_comes_twice_one_is_checked_and_used(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends, query: str, status: int
) -> None:
    headers = {"authorization": f"Bearer {issuer.token('predictions:read')}"}
    answer = await http.get(f"/v1/predictions?{query}", headers=headers)
    assert answer.status_code == status
    assert [request.limit in (5, 7) for request in backends.log.calls.requests] == [True] * (
        status == 200
    )


@pytest.mark.parametrize("odd", ["%00", "%ff", "%c0%ae", "..%2f..%2f", "%0d%0aset-cookie:%20a=b"])
async def test_odd_path_is_just_not_there(get: Call, odd: str) -> None:
    for path in (f"/v1/predictions/{odd}", f"/v1/models/{odd}", f"/{odd}", f"/v2/models/{odd}"):
        answer = await get(path)
        assert answer.status_code in (400, 404, 422), path
        assert "set-cookie" not in answer.headers

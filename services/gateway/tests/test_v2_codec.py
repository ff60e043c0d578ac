"""The Open Inference Protocol's REST bodies, without a server."""

import gzip
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from gateway.content_coding import decoded
from gateway.request_errors import BodyTooLarge, MalformedBody, UnsupportedBody
from gateway.v2_elements import TensorInvalid, to_data, to_raw
from gateway.v2_request import read_infer
from servicekit.errors import InvalidInput

from .v2_mutations import mutated, sample_bodies

FUZZED_BODIES = int(os.environ.get("WEIR_TEST_FUZZED_BODIES", "10000"))
"""How many; `make fuzz` takes ten times as many."""


def body(**changes: Any) -> bytes:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}
    return json.dumps({"inputs": [tensor | changes]}).encode()


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "raw"),
    [
        ("BOOL", [2], [True, False], b"\x01\x00"),
        ("UINT8", [1], [255], b"\xff"),
        ("INT16", [2], [-2, 2], b"\xfe\xff\x02\x00"),
        ("UINT64", [1], [2**64 - 1], b"\xff" * 8),
        ("FP32", [1, 2], [[1, 2.5]], struct.pack("<2f", 1, 2.5)),
        ("FP64", [2, 1], [[1.5], [-2]], struct.pack("<2d", 1.5, -2)),
        ("BYTES", [2], ["é", ""], b"\x02\0\0\0\xc3\xa9\0\0\0\0"),
        ("FP32", [0], [], b""),
    ],
)
def test_json_elements_are_packed(datatype: str, shape: list[int], data: Any, raw: bytes) -> None:
    assert to_raw(datatype, shape, data) == raw


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "told"),
    [
        ("INT32", [1], [1.0], "is no INT32"),
        ("INT32", [1], [True], "is no INT32"),
        ("INT32", [1], ["1"], "is no INT32"),
        ("INT32", [1], [None], "is no INT32"),
        ("INT32", [1], [2**31], "out of the range"),
        ("UINT8", [1], [-1], "out of the range"),
        ("BOOL", [1], [1], "is no BOOL"),
        ("FP32", [1], [True], "is no FP32"),
        ("FP32", [1], [1e39], "out of the range"),
        ("FP64", [1], [10**400], "out of the range"),
        ("FP64", [1], [float("inf")], "out of the range"),
        ("BYTES", [1], [1], "no string"),
        ("BYTES", [1], ["\ud800"], "broken Unicode"),
        ("FP16", [1], [1.0], "binary"),
        ("FP32", [2], [1.0], "has 2 elements"),
        ("FP32", [1], {"0": 1.0}, "must be a list"),
        ("FP32", [2, 2], [[1, 2], [3, 4, 5]], "nested otherwise"),
        ("FP32", [2, 2], [[1], [2, 3, 4]], "nested otherwise"),
        ("FP32", [2], [[1], [2]], "is no FP32"),
        ("FP32", [2, 1, 1], [[1], [2]], "nested otherwise"),
    ],
)
def test_json_elements_that_do_not_fit_are_refused(
    datatype: str, shape: list[int], data: Any, told: str
) -> None:
    with pytest.raises(TensorInvalid, match=told):
        to_raw(datatype, shape, data)


def test_raw_outputs_are_told_in_json() -> None:
    assert to_data("FP32", struct.pack("<2f", 0.5, -1)) == [0.5, -1.0]
    assert to_data("FP16", b"\x00\x3c") == [1.0]
    assert to_data("BOOL", b"\x01\x00") == [True, False]
    assert to_data("BYTES", b"\x02\0\0\0\xc3\xa9\0\0\0\0") == ["é", ""]
    assert to_data("INT64", b"") == []


def test_what_json_has_no_number_for_is_null() -> None:
    values = struct.pack("<3d", float("nan"), float("inf"), 1)
    assert to_data("FP64", values) == [None, None, 1.0]


def test_bytes_that_are_no_text_cannot_be_told_in_json() -> None:
    with pytest.raises(TensorInvalid, match="binary"):
        to_data("BYTES", b"\x01\0\0\0\xff")


def test_binary_tensors_follow_the_json_in_their_order() -> None:
    header = {
        "id": "a",
        "parameters": {"binary_data_output": True, "subject": "me", "n": 3, "x": 0.5, "no": None},
        "inputs": [
            {
                "name": "a",
                "datatype": "FP32",
                "shape": [1, 2],
                "parameters": {"binary_data_size": 8},
            },
            {"name": "b", "datatype": "BOOL", "shape": [1], "data": [True]},
            {"name": "c", "datatype": "INT8", "shape": [1], "parameters": {"binary_data_size": 1}},
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": False}}, {"name": "z"}],
    }
    text = json.dumps(header).encode()
    call = read_infer("table", "2", text + b"12345678" + b"9", str(len(text)))
    message = call.message
    assert (message.model_name, message.model_version, message.id) == ("table", "2", "a")
    assert list(message.raw_input_contents) == [b"12345678", b"\x01", b"9"]
    assert [output.name for output in message.outputs] == ["y", "z"]
    assert (call.rows, call.binary_by_default, call.binary) == (1, True, {"y": False})
    assert message.parameters["subject"].string_param == "me"
    assert message.parameters["n"].int64_param == 3
    assert message.parameters["x"].double_param == 0.5
    assert "no" not in message.parameters


def test_what_the_protocol_does_not_know_is_passed_over() -> None:
    call = read_infer("m", "", body()[:-1] + b', "model_name": "other", "more": {}}', None)
    assert call.message.model_name == "m"


SIZE = {"parameters": {"binary_data_size": 4}}


@pytest.mark.parametrize(
    ("content", "length", "told"),
    [
        (body(data=None), None, "neither data nor"),
        (body(**SIZE), None, "both data and"),
        (body(data=None, **SIZE), None, "ends before its binary"),
        (body(data=None, parameters={"binary_data_size": -1}), None, "no number of bytes"),
        (body(data=None, parameters={"binary_data_size": True}), None, "no number of bytes"),
        (body(data=None, parameters={"binary_data_size": "4"}), None, "no number of bytes"),
        (body() + b"more", str(len(body())), "belong to no input"),
        (body(), str(len(body()) + 1), "shorter than"),
        (body(), "-1", "no length"),
        (body(), "٣", "no length"),
        (body(), "9" * 30, "no length"),
        (body(), "5", "not JSON"),
        (b"", None, "not JSON"),
        (b"[" * 100_000, None, "nested deeper"),
        (b'{"inputs": [NaN]}', None, "not JSON"),
        (b"\xff", None, "not JSON"),
        (b"[]", None, "wrong fields"),
        (b'{"inputs": []}', None, "wrong fields"),
        (body(shape=[]), None, "wrong fields"),
        (body(shape=[-1]), None, "wrong fields"),
        (body(shape=[1.0]), None, "wrong fields"),
        (body(shape=[2**63]), None, "wrong fields"),
        (body(datatype="STRING"), None, "wrong fields"),
        (body(name="\ud800"), None, "wrong fields"),
        (body()[:-1] + b', "id": 7}', None, "wrong fields"),
        (body()[:-1] + b', "parameters": {"a": []}}', None, "parameter is"),
        (body()[:-1] + b', "parameters": {"a": 9223372036854775808}}', None, "parameter is"),
        (body()[:-1] + b', "parameters": {"a": "\\ud800"}}', None, "broken Unicode"),
        (body()[:-1] + b', "parameters": {"\\ud800": 1}}', None, "wrong fields"),
        (body()[:-1] + b', "parameters": {"binary_data_output": 1}}', None, "true or false"),
        (
            body()[:-1] + b', "outputs": [{"name": "a", "parameters": {"classification": 1}}]}',
            None,
            "classification",
        ),
    ],
)
def test_bodies_that_are_none_are_refused(content: bytes, length: str | None, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_infer("sentiment", "", content, length)


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes), ("Identity", bytes)],
)
def test_codings_are_undone(coding: str, encode: Callable[[bytes], bytes]) -> None:
    assert decoded(encode(b"x" * 100), coding, 100) == b"x" * 100


def test_coded_body_that_grows_too_large_is_refused_before_it_has() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(BodyTooLarge):
        decoded(bomb, "gzip", 1000)


def test_bodies_of_another_coding_are_refused() -> None:
    with pytest.raises(UnsupportedBody):
        decoded(b"", "br", 10)
    with pytest.raises(UnsupportedBody):
        decoded(b"", "gzip, gzip", 10)
    for broken in (b"", b"no gzip", gzip.compress(b"whole")[:-1], gzip.compress(b"a") + b"b"):
        with pytest.raises(MalformedBody):
            decoded(broken, "gzip", 10)


def test_no_mutated_body_breaks_the_codec() -> None:
    chosen = random.Random(20_261_121)
    outcomes = {"read": 0, "refused": 0}
    for content, length in mutated(sample_bodies(), chosen, FUZZED_BODIES):
        try:
            call = read_infer("sentiment", "", content, length)
        except InvalidInput:
            outcomes["refused"] += 1
        else:
            assert len(call.message.inputs) == len(call.message.raw_input_contents)
            assert call.message.SerializeToString()
            outcomes["read"] += 1
    # Mutations that never got through, or always, would test nothing.
    assert min(outcomes.values()) > FUZZED_BODIES / 100, outcomes

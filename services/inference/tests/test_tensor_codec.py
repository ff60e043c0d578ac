"""Tensors between the protocol's two forms and numpy."""

import struct

import numpy as np
import pytest

from inference.domain import TensorsInvalid
from inference.tensor_codec import (
    MAX_ELEMENTS,
    dtype_of,
    from_raw,
    from_typed,
    has_typed_contents,
    to_raw,
    to_typed,
)
from weir.oip.v2 import open_inference_pb2 as pb

EXTREMES = {
    "BOOL": [True, False],
    "UINT8": [0, 2**8 - 1],
    "UINT16": [0, 2**16 - 1],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-(2**7), 2**7 - 1],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [65504.0, -0.5],
    "FP32": [1.5, float("inf")],
    "FP64": [5e-324, 1.7976931348623157e308],
    "BYTES": [b"", b"\xff\x00 any"],
}


@pytest.mark.parametrize("datatype", EXTREMES)
def test_raw_elements_come_back_unchanged(datatype: str) -> None:
    raw = to_raw(datatype, np.array(EXTREMES[datatype], dtype=dtype_of(datatype)))
    array = from_raw(datatype, [2, 1], raw)
    assert array.shape == (2, 1)
    assert array.ravel().tolist() == EXTREMES[datatype]
    assert to_raw(datatype, array) == raw


@pytest.mark.parametrize("datatype", [each for each in EXTREMES if has_typed_contents(each)])
def test_typed_elements_come_back_unchanged(datatype: str) -> None:
    contents = to_typed(datatype, np.array(EXTREMES[datatype], dtype=dtype_of(datatype)))
    array = from_typed(datatype, [1, 2], contents)
    assert array.shape == (1, 2)
    assert array.ravel().tolist() == EXTREMES[datatype]
    assert array.dtype == dtype_of(datatype)


def test_raw_bytes_are_little_endian_whatever_the_array_was() -> None:
    array = np.array([1, 258], dtype=">u2")
    assert to_raw("UINT16", array) == b"\x01\x00\x02\x01"
    assert from_raw("INT32", [1], b"\x01\x00\x00\x00").tolist() == [1]


def test_strings_leave_in_utf8() -> None:
    array = np.array(["é"], dtype=object)
    assert to_raw("BYTES", array) == b"\x02\x00\x00\x00\xc3\xa9"
    assert list(to_typed("BYTES", array).bytes_contents) == ["é".encode()]


def test_any_byte_but_zero_is_true() -> None:
    assert from_raw("BOOL", [3], b"\x00\x01\x07").tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "told"),
    [
        ("FP32", [2], b"\0" * 7, "8 bytes"),
        ("FP32", [2], b"\0" * 9, "8 bytes"),
        ("FP32", [], b"", "4 bytes"),
        ("BYTES", [1], b"\x02\0\0\0a", "longer than the bytes"),
        ("BYTES", [1], b"\xff\xff\xff\xffa", "longer than the bytes"),
        ("BYTES", [1], b"\x02\0\0", "within an element's length"),
        ("BYTES", [1], b"\0" * 8, "hold more"),
        ("BYTES", [2], b"\0" * 4, "hold 1"),
        ("INT8", [-1], b"", "dimensions"),
        ("INT8", [2**40, 0], b"", "dimensions"),
        ("INT8", [2**20, 2**20], b"", "elements at most"),
        ("INT8", [MAX_ELEMENTS] * 3, b"", "elements at most"),
        ("INT8", [1] * 17, b"\0", "16 dimensions"),
        ("STRING", [1], b"\0", "no datatype"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(
    datatype: str, shape: list[int], raw: bytes, told: str
) -> None:
    with pytest.raises(TensorsInvalid, match=told):
        from_raw(datatype, shape, raw)


@pytest.mark.parametrize(
    ("datatype", "contents", "told"),
    [
        ("INT32", pb.InferTensorContents(int_contents=[1]), "has 2 elements"),
        ("INT32", pb.InferTensorContents(int64_contents=[1, 2]), "belong into int_contents"),
        (
            "INT32",
            pb.InferTensorContents(int_contents=[1, 2], fp32_contents=[1.0]),
            "belong into int_contents",
        ),
        ("INT8", pb.InferTensorContents(int_contents=[1, 128]), "out of the range"),
        ("UINT8", pb.InferTensorContents(uint_contents=[1, 256]), "out of the range"),
        ("UINT16", pb.InferTensorContents(uint_contents=[1, 1 << 16]), "out of the range"),
        ("FP16", pb.InferTensorContents(fp32_contents=[1, 2]), "raw_input_contents only"),
        ("TEXT", pb.InferTensorContents(), "no datatype"),
    ],
)
def test_typed_contents_that_do_not_fit_are_refused(
    datatype: str, contents: pb.InferTensorContents, told: str
) -> None:
    with pytest.raises(TensorsInvalid, match=told):
        from_typed(datatype, [2], contents)


def test_equally_long_elements_make_no_further_dimension() -> None:
    raw = b"".join(struct.pack("<I", 2) + b"ab" for _ in range(4))
    assert from_raw("BYTES", [2, 2], raw).tolist() == [[b"ab", b"ab"], [b"ab", b"ab"]]

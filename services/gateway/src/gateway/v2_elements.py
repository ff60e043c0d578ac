"""A tensor's elements between JSON and the raw bytes of the Open Inference Protocol.

Raw is little-endian and row-major; each element of BYTES follows its length in four bytes.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from servicekit.errors import InvalidInput

_FORMATS: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES = (*_FORMATS, "BYTES")
_LENGTH = struct.Struct("<I")
_NUMBERS = frozenset({int, float})


class TensorInvalid(InvalidInput):
    """A tensor's data is not what its datatype and shape say."""

    reason = "TENSORS_INVALID"


def to_raw(datatype: str, shape: Sequence[int], data: Any) -> bytes:
    """Raw bytes of a tensor's `data`: a flat list, or lists nested as the shape says.

    Nothing is turned into another type: a number is no text, and true is no number.

    Raises:
        TensorInvalid: there are too many elements or too few, or one is of another type or out of
            the datatype's range.
    """
    if datatype == "FP16":
        raise TensorInvalid("FP16 does not come in JSON; send it as binary data.")
    elements = _flat(shape, data)
    types = set(map(type, elements))
    if datatype == "BYTES":
        return _bytes_to_raw(elements, types)
    if datatype == "BOOL":
        allowed: frozenset[type] = frozenset({bool})
    elif datatype in ("FP32", "FP64"):
        allowed = _NUMBERS
    else:
        allowed = frozenset({int})
    if not types <= allowed:
        raise TensorInvalid(f"An element is no {datatype}.")
    try:
        if float in types and any(map(math.isinf, elements)):
            raise OverflowError
        return struct.pack(f"<{len(elements)}{_FORMATS[datatype]}", *elements)
    except (struct.error, OverflowError) as error:
        raise TensorInvalid(f"An element is out of the range of {datatype}.") from error


def to_data(datatype: str, raw: bytes) -> list[Any]:
    """The flat JSON `data` of raw bytes that the model gave; no number and no infinity are null.

    Raises:
        TensorInvalid: an element of BYTES is no text, which JSON cannot hold.
    """
    if datatype == "BYTES":
        return _raw_to_texts(raw)
    code = _FORMATS[datatype]
    values: list[Any] = list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw))
    # One that is not finite makes the sum so, too.
    if code in "efd" and not math.isfinite(sum(values)):
        return [value if math.isfinite(value) else None for value in values]
    return values


def _flat(shape: Sequence[int], data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TensorInvalid("The data must be a list.")
    expected = math.prod(shape)
    if not data or not isinstance(data[0], list):
        if len(data) != expected:
            raise TensorInvalid(f"The shape has {expected} elements, the data {len(data)}.")
        return data
    level: list[Any] = [data]
    for length in shape:
        if not all(isinstance(each, list) and len(each) == length for each in level):
            raise TensorInvalid("The data is nested otherwise than the shape says.")
        level = list(chain.from_iterable(level))
    return level


def _bytes_to_raw(elements: Sequence[Any], types: set[type]) -> bytes:
    if not types <= {str}:
        raise TensorInvalid("An element of BYTES is no string.")
    pieces: list[bytes] = []
    try:
        for element in elements:
            encoded = element.encode()
            pieces += (_LENGTH.pack(len(encoded)), encoded)
    except UnicodeEncodeError as error:
        raise TensorInvalid("An element of BYTES holds broken Unicode.") from error
    return b"".join(pieces)


def _raw_to_texts(raw: bytes) -> list[Any]:
    texts: list[str] = []
    at = 0
    try:
        while at < len(raw):
            (length,) = _LENGTH.unpack_from(raw, at)
            at += _LENGTH.size
            texts.append(raw[at : at + length].decode())
            at += length
    except UnicodeDecodeError as error:
        raise TensorInvalid("An output is no text; ask for it as binary data.") from error
    return texts

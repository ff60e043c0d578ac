"""Tensors as the Open Inference Protocol writes them, to and from numpy arrays.

Two forms carry the same elements: typed contents, one repeated field for each datatype, and raw
bytes, little-endian and row-major, where each element of BYTES follows its length in four bytes.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.domain import TensorsInvalid
from weir.oip.v2 import open_inference_pb2 as pb

Array = npt.NDArray[np.generic]

MAX_RANK = 16
MAX_ELEMENTS = 1 << 24
_LENGTH = struct.Struct("<I")

_DTYPES: Mapping[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def dtype_of(datatype: str) -> np.dtype[np.generic]:
    """The numpy type of a datatype; BYTES are objects.

    Raises:
        TensorsInvalid: there is no such datatype.
    """
    try:
        return _DTYPES[datatype]
    except KeyError:
        raise TensorsInvalid(f"There is no datatype {datatype[:20]!r}.") from None


def has_typed_contents(datatype: str) -> bool:
    """Whether typed contents can carry it."""
    return datatype in _CONTENTS


def from_typed(datatype: str, shape: Sequence[int], contents: pb.InferTensorContents) -> Array:
    """An array of the elements in the field that belongs to the datatype.

    Raises:
        TensorsInvalid: other fields are filled, or too many elements or too few, or one is out of
            the datatype's range.
    """
    dtype = dtype_of(datatype)
    if not has_typed_contents(datatype):
        raise TensorsInvalid(f"Elements of {datatype} come in raw_input_contents only.")
    expected = _elements(shape)
    field = _CONTENTS[datatype]
    filled = [descriptor.name for descriptor, _ in contents.ListFields()]
    if any(name != field for name in filled):
        raise TensorsInvalid(f"Elements of {datatype} belong into {field} alone.")
    elements = getattr(contents, field)
    if len(elements) != expected:
        raise TensorsInvalid(f"The shape has {expected} elements, {field} holds {len(elements)}.")
    if dtype.hasobject:
        return _of_bytes(elements, shape)
    stated = np.array(elements)
    array = stated.astype(dtype)
    # The field is wider than the datatype, and numpy would cut off what does not fit.
    if dtype.kind in "iu" and not np.array_equal(array, stated):
        raise TensorsInvalid(f"An element is out of the range of {datatype}.")
    return array.reshape(tuple(shape))


def from_raw(datatype: str, shape: Sequence[int], raw: bytes) -> Array:
    """An array of raw elements; it shares their memory and is read-only.

    Raises:
        TensorsInvalid: the bytes are too many or too few, or lengths do not fit them.
    """
    dtype = dtype_of(datatype)
    expected = _elements(shape)
    if dtype.hasobject:
        return _of_bytes(_split(raw, expected), shape)
    if len(raw) != expected * dtype.itemsize:
        raise TensorsInvalid(
            f"The shape needs {expected * dtype.itemsize} bytes of {datatype}, "
            f"there are {len(raw)}."
        )
    if datatype == "BOOL":
        # Whatever is not 0 is true; numpy would keep the odd byte and compare it wrongly.
        return np.frombuffer(raw, np.uint8).astype(np.bool_).reshape(tuple(shape))
    return np.frombuffer(raw, dtype).reshape(tuple(shape))


def to_typed(datatype: str, array: Array) -> pb.InferTensorContents:
    """Typed contents of an array, whose datatype has them."""
    contents = pb.InferTensorContents()
    if datatype == "BYTES":
        elements = _as_bytes(array)
    else:
        elements = array.astype(_DTYPES[datatype], copy=False).ravel().tolist()
    getattr(contents, _CONTENTS[datatype]).extend(elements)
    return contents


def to_raw(datatype: str, array: Array) -> bytes:
    """The raw bytes of an array."""
    dtype = _DTYPES[datatype]
    if not dtype.hasobject:
        return array.astype(dtype, copy=False).tobytes()
    pieces: list[bytes] = []
    for element in _as_bytes(array):
        pieces += (_LENGTH.pack(len(element)), element)
    return b"".join(pieces)


def _elements(shape: Sequence[int]) -> int:
    if len(shape) > MAX_RANK:
        raise TensorsInvalid(f"A shape has {MAX_RANK} dimensions at most.")
    if any(not 0 <= length <= MAX_ELEMENTS for length in shape):
        raise TensorsInvalid(f"A shape's dimensions are 0 to {MAX_ELEMENTS}.")
    # Python's integers do not wrap around, whatever a caller multiplies up.
    elements = math.prod(shape)
    if elements > MAX_ELEMENTS:
        raise TensorsInvalid(f"A tensor has {MAX_ELEMENTS} elements at most.")
    return elements


def _as_bytes(array: Array) -> list[Any]:
    """Elements of BYTES; those that are strings in UTF-8."""
    return [
        element.encode() if isinstance(element, str) else element
        for element in array.ravel().tolist()
    ]


def _of_bytes(elements: Iterable[bytes], shape: Sequence[int]) -> Array:
    flat = list(elements)
    array = np.empty(len(flat), dtype=object)
    # Element by element: numpy would take equally long ones for a further dimension.
    for index, element in enumerate(flat):
        array[index] = element
    return array.reshape(tuple(shape))


def _split(raw: bytes, expected: int) -> list[bytes]:
    found: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        if len(found) == expected:
            raise TensorsInvalid(f"The shape has {expected} elements, the bytes hold more.")
        if end - at < _LENGTH.size:
            raise TensorsInvalid("The bytes end within an element's length.")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if length > end - at:
            raise TensorsInvalid(f"Element {len(found)} is longer than the bytes that are left.")
        found.append(raw[at : at + length])
        at += length
    if len(found) != expected:
        raise TensorsInvalid(f"The shape has {expected} elements, the bytes hold {len(found)}.")
    return found

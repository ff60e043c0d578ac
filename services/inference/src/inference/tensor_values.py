"""Values of tensors: between lists, arrays and the bytes that a row is recognised by.

Arrays hold what their datatype says, in any byte order; BYTES are arrays of Python's `bytes`.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.manifest import Datatype, TensorSpec

Array = npt.NDArray[Any]

DTYPES: Mapping[Datatype, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}


def array_of(values: Any, datatype: Datatype) -> Array:
    """An array of nested lists; strings become UTF-8.

    Raises:
        ValueError, OverflowError, TypeError: they are ragged, or of another type.
    """
    if datatype != "BYTES":
        plain = np.asarray(values)
        with np.errstate(over="ignore"):
            array = plain.astype(DTYPES[datatype])
        if plain.dtype.kind not in _KINDS[array.dtype.kind] or (
            array.dtype.kind in "iu" and not np.array_equal(array, plain)
        ):
            raise ValueError(f"there are values that {datatype} does not hold")
        return array
    strings = np.asarray(values, dtype=np.str_)
    array = np.empty(strings.size, dtype=object)
    array[:] = [str(each).encode() for each in strings.ravel().tolist()]
    return array.reshape(strings.shape)


_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}
"""Kinds of numbers that are taken for each: no float for an integer, nothing but flags for one."""


def fault_of(array: Array, spec: TensorSpec) -> str:
    """Why an array is no row that the spec describes; empty when it is one."""
    if array.dtype.newbyteorder("=") != DTYPES[spec.datatype]:
        return f"{spec.name} must be of {spec.datatype}"
    wanted = (1, *spec.shape[1:])
    if len(array.shape) != len(wanted) or any(
        length not in (found, -1) for found, length in zip(array.shape, wanted, strict=True)
    ):
        return f"{spec.name} must be of shape {list(wanted)} (-1 is any length)"
    if spec.datatype == "BYTES" and not all(map(_is_text, array.ravel().tolist())):
        return f"{spec.name} must hold UTF-8"
    return ""


def as_strings(array: Array) -> Array:
    """BYTES as the runtime takes them."""
    strings = np.empty(array.size, dtype=object)
    strings[:] = [each.decode() for each in array.ravel().tolist()]
    return strings.reshape(array.shape)


def as_bytes(array: Array) -> Array:
    """Strings, as the runtime gives them, as BYTES."""
    found = np.empty(array.size, dtype=object)
    found[:] = [str(each).encode() for each in array.ravel().tolist()]
    return found.reshape(array.shape)


def digest(row: Mapping[str, Array], specs: Mapping[str, TensorSpec]) -> bytes:
    """SHA-256 that equal rows of a model share, whatever way they came.

    Over the tensors by name: name and datatype, each after its length; the number of dimensions
    and each of them; then the elements, row-major and little-endian, where each of BYTES comes
    after its length. Lengths and dimensions are unsigned 64-bit little-endian integers.
    """
    found = hashlib.sha256()
    for name in sorted(row):
        array, datatype = row[name], specs[name].datatype
        for text in (name.encode(), datatype.encode()):
            found.update(_INTEGER.pack(len(text)) + text)
        found.update(b"".join(map(_INTEGER.pack, (array.ndim, *array.shape))))
        if datatype == "BYTES":
            for each in array.ravel().tolist():
                found.update(_INTEGER.pack(len(each)) + each)
        else:
            found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return found.digest()


_INTEGER = struct.Struct("<Q")


def _is_text(element: object) -> bool:
    if not isinstance(element, bytes):
        return False
    try:
        element.decode()
    except UnicodeDecodeError:
        return False
    return True

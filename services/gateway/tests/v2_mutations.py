"""Bodies of the Open Inference Protocol, and what may become of them on their way."""

import json
import random
import struct
from collections.abc import Iterator, Sequence
from typing import Any

Body = tuple[bytes, str | None]
"""The bytes, and the header that tells the length of their JSON."""

_VALUES: Sequence[Any] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**64,
    10**30,
    0.5,
    1e308,
    "",
    "a" * 300,
    "\ud800",
    "\0",
    [],
    [[]],
    [[[1]]],
    {},
    {"name": "text"},
    "BYTES",
    "FP16",
    "INT8",
)
_PIECES = (b"", b"[", b"]", b"{", b'"', b",", b"NaN", b"Infinity", b"1e999", b"\xff", b"\0", b"-")


def sample_bodies() -> Sequence[Body]:
    """Sound requests for texts and for tables, in JSON and in binary."""
    texts = ["Good.", "Ünïcode 😀", ""]
    table = [
        {"name": "a", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], [3, 4]]},
        {"name": "b", "datatype": "INT64", "shape": [2], "data": [1, -(2**63)]},
        {"name": "c", "datatype": "BOOL", "shape": [2], "data": [True, False]},
    ]
    return [
        _json([{"name": "text", "datatype": "BYTES", "shape": [3], "data": texts}]),
        _json(table, outputs=[{"name": "y", "parameters": {"binary_data": True}}], id="x"),
        _binary(
            [
                ("text", "BYTES", [3], b"".join(_with_length(each.encode()) for each in texts)),
            ]
        ),
        _binary(
            [
                ("a", "FP32", [2, 2], struct.pack("<4f", 1, 2, 3, 4)),
                ("b", "FP16", [2], struct.pack("<2e", 1, 2)),
            ],
            parameters={"binary_data_output": True, "timeout": 1000, "subject": "somebody"},
        ),
    ]


def mutated(bodies: Sequence[Body], chosen: random.Random, number: int) -> Iterator[Body]:
    """So many bodies, each with one to three mutations; some in their JSON, some in their bytes."""
    for _ in range(number):
        content, length = chosen.choice(bodies)
        for _ in range(chosen.randint(1, 3)):
            content, length = chosen.choice(_MUTATIONS)(content, length, chosen)
        yield content, length


def _flip(content: bytes, length: str | None, chosen: random.Random) -> Body:
    if not content:
        return b"{", length
    at = chosen.randrange(len(content))
    return content[:at] + bytes([chosen.randrange(256)]) + content[at + 1 :], length


def _cut(content: bytes, length: str | None, chosen: random.Random) -> Body:
    return content[: chosen.randint(0, len(content))], length


def _insert(content: bytes, length: str | None, chosen: random.Random) -> Body:
    at = chosen.randint(0, len(content))
    return content[:at] + chosen.choice(_PIECES) * chosen.choice((1, 1, 50)) + content[at:], length


def _repeat(content: bytes, length: str | None, chosen: random.Random) -> Body:
    first, last = sorted(chosen.randint(0, len(content)) for _ in range(2))
    return content[:last] + content[first:], length


def _relabel(content: bytes, length: str | None, chosen: random.Random) -> Body:
    lengths = (None, "", "0", "-1", "x", "1e3", "9" * 25, str(len(content)), "٣")
    return content, chosen.choice((*lengths, str(chosen.randint(0, len(content) + 3))))


def _change_json(content: bytes, length: str | None, chosen: random.Random) -> Body:
    """Another value, or none, somewhere in the JSON; the header stays right."""
    try:
        end = len(content) if length is None else int(length)
        document = json.loads(content[:end])
    except (ValueError, RecursionError):
        return _flip(content, length, chosen)
    places = list(_places(document))
    if places:
        container, key = chosen.choice(places)
        if chosen.random() < 0.2:
            del container[key]
        else:
            container[key] = chosen.choice(_VALUES)
    text = json.dumps(document).encode()
    return text + content[end:], None if length is None else str(len(text))


_MUTATIONS = (_flip, _cut, _insert, _repeat, _relabel, _change_json, _change_json, _change_json)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        return
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def _with_length(element: bytes) -> bytes:
    return struct.pack("<I", len(element)) + element


def _json(inputs: list[dict[str, Any]], **more: Any) -> Body:
    return json.dumps({"inputs": inputs, **more}).encode(), None


def _binary(inputs: list[tuple[str, str, list[int], bytes]], **more: Any) -> Body:
    described = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            "parameters": {"binary_data_size": len(raw)},
        }
        for name, datatype, shape, raw in inputs
    ]
    text = json.dumps({"inputs": described, **more}).encode()
    return text + b"".join(raw for *_, raw in inputs), str(len(text))

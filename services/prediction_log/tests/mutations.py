"""Requests and events as they should not be, from a seed: always the same ones."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_INTEGERS = {
    FieldDescriptor.CPPTYPE_UINT32: [0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1],
    FieldDescriptor.CPPTYPE_INT32: [0, 1, -1, 2**31 - 1, -(2**31)],
    FieldDescriptor.CPPTYPE_UINT64: [0, 1, 2**31, 2**63, 2**64 - 1],
    FieldDescriptor.CPPTYPE_INT64: [0, 1, -1, 1_790_000_000, 2**62, -(2**62), 253_402_300_799],
}
_NUMBERS = [0.0, 0.5, 1.0, -0.5, 1.5, 1e308, 5e-324, math.nan, math.inf, -math.inf]
_TEXTS = [
    "",
    "x",
    "\0",
    "a\0b",
    "x" * 129,
    "x" * 5000,
    "ü𝄞\u202e\ufeff",
    "'; DROP TABLE feedback; --",
    "%s%n{}",
    "\\u0000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "00000000-0000-0000-0000-000000000000",
]
UNKNOWN_FIELDS = b"\xfa\x7f\x03abc\x98\x7d\x96\x01\xa1\x7d\x00\x00\x00\x00\x00\x00\xf0\x3f"
"""Three fields that no message has: bytes, a varint and a double."""


class Mutations:
    """Makes messages and breaks them.

    Args:
        texts: further texts, such as ids that exist.
    """

    def __init__(self, seed: int, texts: Sequence[str] = ()) -> None:
        self.random = Random(seed)
        self._texts = [*_TEXTS, *texts]

    def filled(self, descriptor: Descriptor, depth: int = 0) -> Message:
        """A message of that type whose fields are set by chance."""
        message = message_factory.GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if self.random.random() < 0.5 and depth < 5:
                self._fill(message, field, depth)
        return message

    def broken(self, data: bytes) -> bytes:
        """The bytes with a few faults in them."""
        for _ in range(self.random.randint(1, 3)):
            data = self._fault(data)
        return data

    def _fault(self, data: bytes) -> bytes:
        at = self.random.randrange(len(data) + 1)
        match self.random.randrange(6):
            case 0:
                return data[:at]
            case 1:
                return data[:at] + self.random.randbytes(self.random.randint(1, 8)) + data[at:]
            case 2 if at < len(data):
                flipped = data[at] ^ 1 << self.random.randrange(8)
                return data[:at] + bytes([flipped]) + data[at + 1 :]
            case 3:
                return data + data[at:]
            case 4:
                return data + UNKNOWN_FIELDS
            case _:
                return data[:at] + b"\xff\xfe\xc0\x80"[: len(data) - at] + data[at + 4 :]

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        name = field.name
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            self._fill_map(getattr(message, name), kind, depth)
        elif kind is not None and field.is_repeated:
            getattr(message, name).extend(
                self.filled(kind, depth + 1) for _ in range(self.random.randint(1, 3))
            )
        elif kind is not None:
            getattr(message, name).CopyFrom(self.filled(kind, depth + 1))
        elif field.is_repeated:
            getattr(message, name).extend(self._value(field) for _ in range(2))
        else:
            setattr(message, name, self._value(field))

    def _fill_map(self, entries: Any, kind: Descriptor, depth: int) -> None:
        key, value = (kind.fields_by_name[name] for name in ("key", "value"))
        for _ in range(self.random.randint(1, 3)):
            if value.message_type is not None:
                entries[self._value(key)].CopyFrom(self.filled(value.message_type, depth + 1))
            else:
                entries[self._value(key)] = self._value(value)

    def _value(self, field: FieldDescriptor) -> Any:
        kind = field.cpp_type
        if kind in _INTEGERS:
            return self.random.choice(_INTEGERS[kind])
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self.random.randint(-1, 5)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self.random.random() < 0.5
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self.random.choice(_NUMBERS)
        text = self.random.choice(self._texts)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text

from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputKeeping(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_KEEPING_UNSPECIFIED: _ClassVar[InputKeeping]
    INPUT_KEEPING_NOTHING: _ClassVar[InputKeeping]
    INPUT_KEEPING_ENCRYPTED: _ClassVar[InputKeeping]
    INPUT_KEEPING_PLAIN: _ClassVar[InputKeeping]
INPUT_KEEPING_UNSPECIFIED: InputKeeping
INPUT_KEEPING_NOTHING: InputKeeping
INPUT_KEEPING_ENCRYPTED: InputKeeping
INPUT_KEEPING_PLAIN: InputKeeping

class Keeping(_message.Message):
    __slots__ = ("input", "retention_class")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RETENTION_CLASS_FIELD_NUMBER: _ClassVar[int]
    input: InputKeeping
    retention_class: str
    def __init__(self, input: _Optional[_Union[InputKeeping, str]] = ..., retention_class: _Optional[str] = ...) -> None: ...

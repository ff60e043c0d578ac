import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from weir.drift.v1 import drift_pb2 as _drift_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListReferencesRequest(_message.Message):
    __slots__ = ("model", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ListReferencesResponse(_message.Message):
    __slots__ = ("model", "model_version", "references")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    references: _containers.RepeatedCompositeFieldContainer[KeptReference]
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., references: _Optional[_Iterable[_Union[KeptReference, _Mapping]]] = ...) -> None: ...

class PromoteReferenceRequest(_message.Message):
    __slots__ = ("model", "version", "range", "reason", "accept_drift", "client_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_DRIFT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    range: _drift_pb2.TimeRange
    reason: str
    accept_drift: bool
    client_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., range: _Optional[_Union[_drift_pb2.TimeRange, _Mapping]] = ..., reason: _Optional[str] = ..., accept_drift: _Optional[bool] = ..., client_id: _Optional[str] = ...) -> None: ...

class PromoteReferenceResponse(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: KeptReference
    def __init__(self, reference: _Optional[_Union[KeptReference, _Mapping]] = ...) -> None: ...

class ActivateReferenceRequest(_message.Message):
    __slots__ = ("model", "version", "reference_id", "reason", "client_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    reference_id: str
    reason: str
    client_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., reference_id: _Optional[str] = ..., reason: _Optional[str] = ..., client_id: _Optional[str] = ...) -> None: ...

class ActivateReferenceResponse(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: KeptReference
    def __init__(self, reference: _Optional[_Union[KeptReference, _Mapping]] = ...) -> None: ...

class KeptReference(_message.Message):
    __slots__ = ("reference_id", "model", "model_version", "source", "rows", "windows", "first_predicted_at", "last_predicted_at", "promoted_at", "promoted_by", "reason", "accepted_drift", "in_force", "in_force_since", "in_force_by", "in_force_reason")
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_AT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_DRIFT_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_SINCE_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_BY_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_REASON_FIELD_NUMBER: _ClassVar[int]
    reference_id: str
    model: str
    model_version: str
    source: str
    rows: int
    windows: int
    first_predicted_at: _timestamp_pb2.Timestamp
    last_predicted_at: _timestamp_pb2.Timestamp
    promoted_at: _timestamp_pb2.Timestamp
    promoted_by: str
    reason: str
    accepted_drift: bool
    in_force: bool
    in_force_since: _timestamp_pb2.Timestamp
    in_force_by: str
    in_force_reason: str
    def __init__(self, reference_id: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., source: _Optional[str] = ..., rows: _Optional[int] = ..., windows: _Optional[int] = ..., first_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., promoted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., promoted_by: _Optional[str] = ..., reason: _Optional[str] = ..., accepted_drift: _Optional[bool] = ..., in_force: _Optional[bool] = ..., in_force_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_force_by: _Optional[str] = ..., in_force_reason: _Optional[str] = ...) -> None: ...

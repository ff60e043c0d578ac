import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from weir.drift.v1 import drift_pb2 as _drift_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IncidentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INCIDENT_STATE_UNSPECIFIED: _ClassVar[IncidentState]
    INCIDENT_STATE_OPEN: _ClassVar[IncidentState]
    INCIDENT_STATE_ACKNOWLEDGED: _ClassVar[IncidentState]
    INCIDENT_STATE_SILENCED: _ClassVar[IncidentState]
    INCIDENT_STATE_CLOSED: _ClassVar[IncidentState]
INCIDENT_STATE_UNSPECIFIED: IncidentState
INCIDENT_STATE_OPEN: IncidentState
INCIDENT_STATE_ACKNOWLEDGED: IncidentState
INCIDENT_STATE_SILENCED: IncidentState
INCIDENT_STATE_CLOSED: IncidentState

class ListIncidentsRequest(_message.Message):
    __slots__ = ("tenant", "model", "state", "limit", "cursor")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    model: str
    state: IncidentState
    limit: int
    cursor: str
    def __init__(self, tenant: _Optional[str] = ..., model: _Optional[str] = ..., state: _Optional[_Union[IncidentState, str]] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListIncidentsResponse(_message.Message):
    __slots__ = ("incidents", "next_cursor")
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    incidents: _containers.RepeatedCompositeFieldContainer[Incident]
    next_cursor: str
    def __init__(self, incidents: _Optional[_Iterable[_Union[Incident, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetIncidentRequest(_message.Message):
    __slots__ = ("tenant", "incident_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    incident_id: str
    def __init__(self, tenant: _Optional[str] = ..., incident_id: _Optional[str] = ...) -> None: ...

class GetIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class AcknowledgeIncidentRequest(_message.Message):
    __slots__ = ("tenant", "incident_id", "client_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    incident_id: str
    client_id: str
    def __init__(self, tenant: _Optional[str] = ..., incident_id: _Optional[str] = ..., client_id: _Optional[str] = ...) -> None: ...

class AcknowledgeIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class SilenceIncidentRequest(_message.Message):
    __slots__ = ("tenant", "incident_id", "client_id", "until")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    incident_id: str
    client_id: str
    until: _timestamp_pb2.Timestamp
    def __init__(self, tenant: _Optional[str] = ..., incident_id: _Optional[str] = ..., client_id: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SilenceIncidentResponse(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: Incident
    def __init__(self, incident: _Optional[_Union[Incident, _Mapping]] = ...) -> None: ...

class Incident(_message.Message):
    __slots__ = ("incident_id", "revision", "tenant", "model", "model_version", "group", "signal", "direction", "state", "opened_at", "changed_at", "began_at", "last_drift_at", "closed_at", "severity", "expected_loss", "action", "reasons", "signals", "windows_drifted", "windows_clean", "reference", "acknowledged_at", "acknowledged_by", "silenced_until", "silenced_by")
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_DRIFT_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LOSS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_DRIFTED_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_CLEAN_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_AT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_BY_FIELD_NUMBER: _ClassVar[int]
    SILENCED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    SILENCED_BY_FIELD_NUMBER: _ClassVar[int]
    incident_id: str
    revision: int
    tenant: str
    model: str
    model_version: str
    group: str
    signal: str
    direction: str
    state: IncidentState
    opened_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    began_at: _timestamp_pb2.Timestamp
    last_drift_at: _timestamp_pb2.Timestamp
    closed_at: _timestamp_pb2.Timestamp
    severity: str
    expected_loss: _drift_pb2.Estimate
    action: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    signals: _containers.RepeatedCompositeFieldContainer[IncidentSignal]
    windows_drifted: int
    windows_clean: int
    reference: str
    acknowledged_at: _timestamp_pb2.Timestamp
    acknowledged_by: str
    silenced_until: _timestamp_pb2.Timestamp
    silenced_by: str
    def __init__(self, incident_id: _Optional[str] = ..., revision: _Optional[int] = ..., tenant: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., group: _Optional[str] = ..., signal: _Optional[str] = ..., direction: _Optional[str] = ..., state: _Optional[_Union[IncidentState, str]] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., began_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_drift_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., severity: _Optional[str] = ..., expected_loss: _Optional[_Union[_drift_pb2.Estimate, _Mapping]] = ..., action: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., signals: _Optional[_Iterable[_Union[IncidentSignal, _Mapping]]] = ..., windows_drifted: _Optional[int] = ..., windows_clean: _Optional[int] = ..., reference: _Optional[str] = ..., acknowledged_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acknowledged_by: _Optional[str] = ..., silenced_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., silenced_by: _Optional[str] = ...) -> None: ...

class IncidentSignal(_message.Message):
    __slots__ = ("signal", "direction", "effect", "p_value")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    signal: str
    direction: str
    effect: _drift_pb2.Estimate
    p_value: float
    def __init__(self, signal: _Optional[str] = ..., direction: _Optional[str] = ..., effect: _Optional[_Union[_drift_pb2.Estimate, _Mapping]] = ..., p_value: _Optional[float] = ...) -> None: ...

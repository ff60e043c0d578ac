import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from weir.predictions.v1 import keeping_pb2 as _keeping_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_OUTCOME_UNSPECIFIED: _ClassVar[AuditOutcome]
    AUDIT_OUTCOME_ALLOWED: _ClassVar[AuditOutcome]
    AUDIT_OUTCOME_REFUSED: _ClassVar[AuditOutcome]

class DriftIncidentChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRIFT_INCIDENT_CHANGE_UNSPECIFIED: _ClassVar[DriftIncidentChange]
    DRIFT_INCIDENT_CHANGE_OPENED: _ClassVar[DriftIncidentChange]
    DRIFT_INCIDENT_CHANGE_UPDATED: _ClassVar[DriftIncidentChange]
    DRIFT_INCIDENT_CHANGE_CLOSED: _ClassVar[DriftIncidentChange]
    DRIFT_INCIDENT_CHANGE_ACKNOWLEDGED: _ClassVar[DriftIncidentChange]
    DRIFT_INCIDENT_CHANGE_SILENCED: _ClassVar[DriftIncidentChange]

class DriftIncidentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRIFT_INCIDENT_STATE_UNSPECIFIED: _ClassVar[DriftIncidentState]
    DRIFT_INCIDENT_STATE_OPEN: _ClassVar[DriftIncidentState]
    DRIFT_INCIDENT_STATE_ACKNOWLEDGED: _ClassVar[DriftIncidentState]
    DRIFT_INCIDENT_STATE_SILENCED: _ClassVar[DriftIncidentState]
    DRIFT_INCIDENT_STATE_CLOSED: _ClassVar[DriftIncidentState]
AUDIT_OUTCOME_UNSPECIFIED: AuditOutcome
AUDIT_OUTCOME_ALLOWED: AuditOutcome
AUDIT_OUTCOME_REFUSED: AuditOutcome
DRIFT_INCIDENT_CHANGE_UNSPECIFIED: DriftIncidentChange
DRIFT_INCIDENT_CHANGE_OPENED: DriftIncidentChange
DRIFT_INCIDENT_CHANGE_UPDATED: DriftIncidentChange
DRIFT_INCIDENT_CHANGE_CLOSED: DriftIncidentChange
DRIFT_INCIDENT_CHANGE_ACKNOWLEDGED: DriftIncidentChange
DRIFT_INCIDENT_CHANGE_SILENCED: DriftIncidentChange
DRIFT_INCIDENT_STATE_UNSPECIFIED: DriftIncidentState
DRIFT_INCIDENT_STATE_OPEN: DriftIncidentState
DRIFT_INCIDENT_STATE_ACKNOWLEDGED: DriftIncidentState
DRIFT_INCIDENT_STATE_SILENCED: DriftIncidentState
DRIFT_INCIDENT_STATE_CLOSED: DriftIncidentState

class PredictionRecorded(_message.Message):
    __slots__ = ("prediction_id", "predicted_at", "model", "model_version", "tenant", "client_id", "delegate_id", "request_id", "input", "label", "confidence", "probabilities", "inference_ms", "shadow", "keeping", "sealed_input", "cached", "projection", "features", "features_out_of_range", "predicted_values")
    class ProbabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class PredictedValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    DELEGATE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    KEEPING_FIELD_NUMBER: _ClassVar[int]
    SEALED_INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    PROJECTION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_OUT_OF_RANGE_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_VALUES_FIELD_NUMBER: _ClassVar[int]
    prediction_id: str
    predicted_at: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    tenant: str
    client_id: str
    delegate_id: str
    request_id: str
    input: InputFacts
    label: str
    confidence: float
    probabilities: _containers.ScalarMap[str, float]
    inference_ms: float
    shadow: bool
    keeping: _keeping_pb2.Keeping
    sealed_input: bytes
    cached: bool
    projection: Projection
    features: _containers.ScalarMap[str, float]
    features_out_of_range: _containers.RepeatedScalarFieldContainer[str]
    predicted_values: _containers.ScalarMap[str, float]
    def __init__(self, prediction_id: _Optional[str] = ..., predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., tenant: _Optional[str] = ..., client_id: _Optional[str] = ..., delegate_id: _Optional[str] = ..., request_id: _Optional[str] = ..., input: _Optional[_Union[InputFacts, _Mapping]] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., inference_ms: _Optional[float] = ..., shadow: _Optional[bool] = ..., keeping: _Optional[_Union[_keeping_pb2.Keeping, _Mapping]] = ..., sealed_input: _Optional[bytes] = ..., cached: _Optional[bool] = ..., projection: _Optional[_Union[Projection, _Mapping]] = ..., features: _Optional[_Mapping[str, float]] = ..., features_out_of_range: _Optional[_Iterable[str]] = ..., predicted_values: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Projection(_message.Message):
    __slots__ = ("values", "scale")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    values: bytes
    scale: float
    def __init__(self, values: _Optional[bytes] = ..., scale: _Optional[float] = ...) -> None: ...

class PrivateInput(_message.Message):
    __slots__ = ("subject", "text")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    text: str
    def __init__(self, subject: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class InputFacts(_message.Message):
    __slots__ = ("sha256", "characters", "tokens", "unknown_tokens", "special_tokens", "letters")
    class LettersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    characters: int
    tokens: int
    unknown_tokens: int
    special_tokens: int
    letters: _containers.ScalarMap[str, int]
    def __init__(self, sha256: _Optional[bytes] = ..., characters: _Optional[int] = ..., tokens: _Optional[int] = ..., unknown_tokens: _Optional[int] = ..., special_tokens: _Optional[int] = ..., letters: _Optional[_Mapping[str, int]] = ...) -> None: ...

class FeedbackRecorded(_message.Message):
    __slots__ = ("feedback_id", "given_at", "prediction_id", "tenant", "client_id", "correct_label", "score", "comment", "model", "model_version", "predicted_label", "confidence")
    FEEDBACK_ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_AT_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECT_LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    feedback_id: str
    given_at: _timestamp_pb2.Timestamp
    prediction_id: str
    tenant: str
    client_id: str
    correct_label: str
    score: float
    comment: str
    model: str
    model_version: str
    predicted_label: str
    confidence: float
    def __init__(self, feedback_id: _Optional[str] = ..., given_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., prediction_id: _Optional[str] = ..., tenant: _Optional[str] = ..., client_id: _Optional[str] = ..., correct_label: _Optional[str] = ..., score: _Optional[float] = ..., comment: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., predicted_label: _Optional[str] = ..., confidence: _Optional[float] = ...) -> None: ...

class AuditRecorded(_message.Message):
    __slots__ = ("event_id", "occurred_at", "action", "outcome", "client_id", "tenant", "client_address", "request_id", "reason", "target")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    occurred_at: _timestamp_pb2.Timestamp
    action: str
    outcome: AuditOutcome
    client_id: str
    tenant: str
    client_address: str
    request_id: str
    reason: str
    target: str
    def __init__(self, event_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., action: _Optional[str] = ..., outcome: _Optional[_Union[AuditOutcome, str]] = ..., client_id: _Optional[str] = ..., tenant: _Optional[str] = ..., client_address: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class TokensRevoked(_message.Message):
    __slots__ = ("event_id", "occurred_at", "token_id", "client_id", "expires_at")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    occurred_at: _timestamp_pb2.Timestamp
    token_id: str
    client_id: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, event_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., token_id: _Optional[str] = ..., client_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ModelDeployed(_message.Message):
    __slots__ = ("deployment_id", "deployed_at", "model", "model_version", "manifest_sha256", "instance", "traffic_percent")
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEPLOYED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_SHA256_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_PERCENT_FIELD_NUMBER: _ClassVar[int]
    deployment_id: str
    deployed_at: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    manifest_sha256: str
    instance: str
    traffic_percent: int
    def __init__(self, deployment_id: _Optional[str] = ..., deployed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., manifest_sha256: _Optional[str] = ..., instance: _Optional[str] = ..., traffic_percent: _Optional[int] = ...) -> None: ...

class DatasetMeasured(_message.Message):
    __slots__ = ("measurement_id", "measured_at", "model", "model_version", "window_start", "window_end", "rows", "metrics")
    MEASUREMENT_ID_FIELD_NUMBER: _ClassVar[int]
    MEASURED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    measurement_id: str
    measured_at: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    window_start: _timestamp_pb2.Timestamp
    window_end: _timestamp_pb2.Timestamp
    rows: int
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    def __init__(self, measurement_id: _Optional[str] = ..., measured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[int] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("signal", "statistic", "value")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    signal: str
    statistic: str
    value: float
    def __init__(self, signal: _Optional[str] = ..., statistic: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class DriftIncidentChanged(_message.Message):
    __slots__ = ("incident_id", "revision", "changed_at", "opened_at", "closed_at", "tenant", "model", "model_version", "signal", "state", "severity", "details", "change")
    INCIDENT_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    incident_id: str
    revision: int
    changed_at: _timestamp_pb2.Timestamp
    opened_at: _timestamp_pb2.Timestamp
    closed_at: _timestamp_pb2.Timestamp
    tenant: str
    model: str
    model_version: str
    signal: str
    state: DriftIncidentState
    severity: str
    details: _struct_pb2.Struct
    change: DriftIncidentChange
    def __init__(self, incident_id: _Optional[str] = ..., revision: _Optional[int] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., signal: _Optional[str] = ..., state: _Optional[_Union[DriftIncidentState, str]] = ..., severity: _Optional[str] = ..., details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., change: _Optional[_Union[DriftIncidentChange, str]] = ...) -> None: ...

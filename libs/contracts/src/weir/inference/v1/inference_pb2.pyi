import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from weir.predictions.v1 import keeping_pb2 as _keeping_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ItemErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ITEM_ERROR_REASON_UNSPECIFIED: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_INPUT_MISSING: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_INPUT_KIND: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_TEXT_BLANK: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_TEXT_TOO_LONG: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_TEXT_INVALID: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_SUBJECT_INVALID: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_SATURATED: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_DEADLINE_EXCEEDED: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_SEALING_KEY_MISSING: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_TENSORS_INVALID: _ClassVar[ItemErrorReason]
    ITEM_ERROR_REASON_MODEL_FAILED: _ClassVar[ItemErrorReason]

class ModelVersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_VERSION_STATE_UNSPECIFIED: _ClassVar[ModelVersionState]
    MODEL_VERSION_STATE_LOADING: _ClassVar[ModelVersionState]
    MODEL_VERSION_STATE_READY: _ClassVar[ModelVersionState]
    MODEL_VERSION_STATE_UNAVAILABLE: _ClassVar[ModelVersionState]
ITEM_ERROR_REASON_UNSPECIFIED: ItemErrorReason
ITEM_ERROR_REASON_INPUT_MISSING: ItemErrorReason
ITEM_ERROR_REASON_INPUT_KIND: ItemErrorReason
ITEM_ERROR_REASON_TEXT_BLANK: ItemErrorReason
ITEM_ERROR_REASON_TEXT_TOO_LONG: ItemErrorReason
ITEM_ERROR_REASON_TEXT_INVALID: ItemErrorReason
ITEM_ERROR_REASON_SUBJECT_INVALID: ItemErrorReason
ITEM_ERROR_REASON_SATURATED: ItemErrorReason
ITEM_ERROR_REASON_DEADLINE_EXCEEDED: ItemErrorReason
ITEM_ERROR_REASON_SEALING_KEY_MISSING: ItemErrorReason
ITEM_ERROR_REASON_TENSORS_INVALID: ItemErrorReason
ITEM_ERROR_REASON_MODEL_FAILED: ItemErrorReason
MODEL_VERSION_STATE_UNSPECIFIED: ModelVersionState
MODEL_VERSION_STATE_LOADING: ModelVersionState
MODEL_VERSION_STATE_READY: ModelVersionState
MODEL_VERSION_STATE_UNAVAILABLE: ModelVersionState

class PredictRequest(_message.Message):
    __slots__ = ("model", "version", "items")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    items: _containers.RepeatedCompositeFieldContainer[PredictItem]
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., items: _Optional[_Iterable[_Union[PredictItem, _Mapping]]] = ...) -> None: ...

class PredictItem(_message.Message):
    __slots__ = ("text", "row", "caller", "request_id", "subject", "keeping", "timeout", "traceparent")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    KEEPING_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    text: str
    row: Row
    caller: Caller
    request_id: str
    subject: str
    keeping: _keeping_pb2.Keeping
    timeout: _duration_pb2.Duration
    traceparent: str
    def __init__(self, text: _Optional[str] = ..., row: _Optional[_Union[Row, _Mapping]] = ..., caller: _Optional[_Union[Caller, _Mapping]] = ..., request_id: _Optional[str] = ..., subject: _Optional[str] = ..., keeping: _Optional[_Union[_keeping_pb2.Keeping, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("features",)
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    features: _containers.MessageMap[str, FeatureValue]
    def __init__(self, features: _Optional[_Mapping[str, FeatureValue]] = ...) -> None: ...

class FeatureValue(_message.Message):
    __slots__ = ("number", "category", "flag")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    number: float
    category: str
    flag: bool
    def __init__(self, number: _Optional[float] = ..., category: _Optional[str] = ..., flag: _Optional[bool] = ...) -> None: ...

class Caller(_message.Message):
    __slots__ = ("tenant", "client_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    client_id: str
    def __init__(self, tenant: _Optional[str] = ..., client_id: _Optional[str] = ...) -> None: ...

class Delegation(_message.Message):
    __slots__ = ("caller", "keeping")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    KEEPING_FIELD_NUMBER: _ClassVar[int]
    caller: Caller
    keeping: _keeping_pb2.Keeping
    def __init__(self, caller: _Optional[_Union[Caller, _Mapping]] = ..., keeping: _Optional[_Union[_keeping_pb2.Keeping, _Mapping]] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[ItemOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[ItemOutcome, _Mapping]]] = ...) -> None: ...

class ItemOutcome(_message.Message):
    __slots__ = ("prediction", "error")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    error: ItemError
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("prediction_id", "model", "model_version", "label", "confidence", "probabilities", "inference_ms", "predicted_at", "unlogged", "cached", "input_tokens")
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    UNLOGGED_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    prediction_id: str
    model: str
    model_version: str
    label: str
    confidence: float
    probabilities: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    inference_ms: float
    predicted_at: _timestamp_pb2.Timestamp
    unlogged: bool
    cached: bool
    input_tokens: int
    def __init__(self, prediction_id: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ..., inference_ms: _Optional[float] = ..., predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., unlogged: _Optional[bool] = ..., cached: _Optional[bool] = ..., input_tokens: _Optional[int] = ...) -> None: ...

class LabelProbability(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("reason", "message", "retry_after")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: ItemErrorReason
    message: str
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[_Union[ItemErrorReason, str]] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "task", "labels", "versions", "max_characters", "max_tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    task: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    versions: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    max_characters: int
    max_tokens: int
    def __init__(self, name: _Optional[str] = ..., task: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., versions: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ..., max_characters: _Optional[int] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("version", "traffic_percent", "loaded_at", "shadow", "state", "reason")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    version: str
    traffic_percent: int
    loaded_at: _timestamp_pb2.Timestamp
    shadow: bool
    state: ModelVersionState
    reason: str
    def __init__(self, version: _Optional[str] = ..., traffic_percent: _Optional[int] = ..., loaded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., shadow: _Optional[bool] = ..., state: _Optional[_Union[ModelVersionState, str]] = ..., reason: _Optional[str] = ...) -> None: ...

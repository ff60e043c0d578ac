import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetPredictionRequest(_message.Message):
    __slots__ = ("tenant", "prediction_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    prediction_id: str
    def __init__(self, tenant: _Optional[str] = ..., prediction_id: _Optional[str] = ...) -> None: ...

class GetPredictionResponse(_message.Message):
    __slots__ = ("prediction",)
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    prediction: LoggedPrediction
    def __init__(self, prediction: _Optional[_Union[LoggedPrediction, _Mapping]] = ...) -> None: ...

class ListPredictionsRequest(_message.Message):
    __slots__ = ("tenant", "filter", "limit", "cursor")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    filter: PredictionFilter
    limit: int
    cursor: str
    def __init__(self, tenant: _Optional[str] = ..., filter: _Optional[_Union[PredictionFilter, _Mapping]] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListPredictionsResponse(_message.Message):
    __slots__ = ("predictions", "next_cursor")
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    predictions: _containers.RepeatedCompositeFieldContainer[LoggedPrediction]
    next_cursor: str
    def __init__(self, predictions: _Optional[_Iterable[_Union[LoggedPrediction, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class PredictionFilter(_message.Message):
    __slots__ = ("model", "model_version", "label", "client_id", "predicted_from", "predicted_before", "has_feedback")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FROM_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    HAS_FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    label: str
    client_id: str
    predicted_from: _timestamp_pb2.Timestamp
    predicted_before: _timestamp_pb2.Timestamp
    has_feedback: bool
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., label: _Optional[str] = ..., client_id: _Optional[str] = ..., predicted_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., predicted_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., has_feedback: _Optional[bool] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ("tenant", "filter")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    filter: PredictionFilter
    def __init__(self, tenant: _Optional[str] = ..., filter: _Optional[_Union[PredictionFilter, _Mapping]] = ...) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("predictions", "labels", "mean_confidence", "inference_ms_p50", "inference_ms_p95", "inference_ms_p99", "labelled", "accuracy")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MEAN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P50_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P95_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P99_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    predictions: int
    labels: _containers.ScalarMap[str, int]
    mean_confidence: float
    inference_ms_p50: float
    inference_ms_p95: float
    inference_ms_p99: float
    labelled: int
    accuracy: float
    def __init__(self, predictions: _Optional[int] = ..., labels: _Optional[_Mapping[str, int]] = ..., mean_confidence: _Optional[float] = ..., inference_ms_p50: _Optional[float] = ..., inference_ms_p95: _Optional[float] = ..., inference_ms_p99: _Optional[float] = ..., labelled: _Optional[int] = ..., accuracy: _Optional[float] = ...) -> None: ...

class LoggedPrediction(_message.Message):
    __slots__ = ("prediction_id", "predicted_at", "model", "model_version", "client_id", "delegate_id", "request_id", "input_sha256", "input_characters", "input_tokens", "label", "confidence", "probabilities", "inference_ms", "feedback")
    class ProbabilitiesEntry(_message.Message):
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
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    DELEGATE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    INPUT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    prediction_id: str
    predicted_at: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    client_id: str
    delegate_id: str
    request_id: str
    input_sha256: str
    input_characters: int
    input_tokens: int
    label: str
    confidence: float
    probabilities: _containers.ScalarMap[str, float]
    inference_ms: float
    feedback: Feedback
    def __init__(self, prediction_id: _Optional[str] = ..., predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., client_id: _Optional[str] = ..., delegate_id: _Optional[str] = ..., request_id: _Optional[str] = ..., input_sha256: _Optional[str] = ..., input_characters: _Optional[int] = ..., input_tokens: _Optional[int] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., inference_ms: _Optional[float] = ..., feedback: _Optional[_Union[Feedback, _Mapping]] = ...) -> None: ...

class Feedback(_message.Message):
    __slots__ = ("feedback_id", "given_at", "client_id", "correct_label", "score", "comment")
    FEEDBACK_ID_FIELD_NUMBER: _ClassVar[int]
    GIVEN_AT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECT_LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    feedback_id: str
    given_at: _timestamp_pb2.Timestamp
    client_id: str
    correct_label: str
    score: float
    comment: str
    def __init__(self, feedback_id: _Optional[str] = ..., given_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., client_id: _Optional[str] = ..., correct_label: _Optional[str] = ..., score: _Optional[float] = ..., comment: _Optional[str] = ...) -> None: ...

class RecordFeedbackRequest(_message.Message):
    __slots__ = ("tenant", "client_id", "prediction_id", "correct_label", "score", "comment")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECT_LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    client_id: str
    prediction_id: str
    correct_label: str
    score: float
    comment: str
    def __init__(self, tenant: _Optional[str] = ..., client_id: _Optional[str] = ..., prediction_id: _Optional[str] = ..., correct_label: _Optional[str] = ..., score: _Optional[float] = ..., comment: _Optional[str] = ...) -> None: ...

class RecordFeedbackResponse(_message.Message):
    __slots__ = ("feedback_id",)
    FEEDBACK_ID_FIELD_NUMBER: _ClassVar[int]
    feedback_id: str
    def __init__(self, feedback_id: _Optional[str] = ...) -> None: ...

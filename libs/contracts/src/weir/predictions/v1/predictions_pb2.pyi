import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from weir.predictions.v1 import keeping_pb2 as _keeping_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatsBucket(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATS_BUCKET_UNSPECIFIED: _ClassVar[StatsBucket]
    STATS_BUCKET_HOUR: _ClassVar[StatsBucket]
    STATS_BUCKET_DAY: _ClassVar[StatsBucket]

class ExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_UNSPECIFIED: _ClassVar[ExportFormat]
    EXPORT_FORMAT_CSV: _ClassVar[ExportFormat]
    EXPORT_FORMAT_JSON_LINES: _ClassVar[ExportFormat]
    EXPORT_FORMAT_PARQUET: _ClassVar[ExportFormat]
STATS_BUCKET_UNSPECIFIED: StatsBucket
STATS_BUCKET_HOUR: StatsBucket
STATS_BUCKET_DAY: StatsBucket
EXPORT_FORMAT_UNSPECIFIED: ExportFormat
EXPORT_FORMAT_CSV: ExportFormat
EXPORT_FORMAT_JSON_LINES: ExportFormat
EXPORT_FORMAT_PARQUET: ExportFormat

class GetPredictionRequest(_message.Message):
    __slots__ = ("tenant", "prediction_id", "include_input", "client_id", "client_address")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_INPUT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    prediction_id: str
    include_input: bool
    client_id: str
    client_address: str
    def __init__(self, tenant: _Optional[str] = ..., prediction_id: _Optional[str] = ..., include_input: _Optional[bool] = ..., client_id: _Optional[str] = ..., client_address: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("model", "model_version", "label", "client_id", "predicted_from", "predicted_before", "has_feedback", "confidence_from", "confidence_to", "shadow", "input_sha256", "subject")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FROM_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    HAS_FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FROM_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_TO_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    label: str
    client_id: str
    predicted_from: _timestamp_pb2.Timestamp
    predicted_before: _timestamp_pb2.Timestamp
    has_feedback: bool
    confidence_from: float
    confidence_to: float
    shadow: bool
    input_sha256: str
    subject: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., label: _Optional[str] = ..., client_id: _Optional[str] = ..., predicted_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., predicted_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., has_feedback: _Optional[bool] = ..., confidence_from: _Optional[float] = ..., confidence_to: _Optional[float] = ..., shadow: _Optional[bool] = ..., input_sha256: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

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

class GetStatsSeriesRequest(_message.Message):
    __slots__ = ("tenant", "model", "model_version", "shadow", "predicted_from", "predicted_before", "bucket", "by_version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FROM_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    BY_VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    model: str
    model_version: str
    shadow: bool
    predicted_from: _timestamp_pb2.Timestamp
    predicted_before: _timestamp_pb2.Timestamp
    bucket: StatsBucket
    by_version: bool
    def __init__(self, tenant: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., shadow: _Optional[bool] = ..., predicted_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., predicted_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bucket: _Optional[_Union[StatsBucket, str]] = ..., by_version: _Optional[bool] = ...) -> None: ...

class GetStatsSeriesResponse(_message.Message):
    __slots__ = ("bucket", "buckets")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    bucket: StatsBucket
    buckets: _containers.RepeatedCompositeFieldContainer[BucketStats]
    def __init__(self, bucket: _Optional[_Union[StatsBucket, str]] = ..., buckets: _Optional[_Iterable[_Union[BucketStats, _Mapping]]] = ...) -> None: ...

class BucketStats(_message.Message):
    __slots__ = ("start", "model", "model_version", "predictions", "labels", "mean_confidence", "confidence_p05", "confidence_p50", "inference_ms_p50", "inference_ms_p95", "inference_ms_p99", "labelled", "correct", "accuracy")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    START_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MEAN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_P05_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_P50_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P50_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P95_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_P99_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    CORRECT_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    predictions: int
    labels: _containers.ScalarMap[str, int]
    mean_confidence: float
    confidence_p05: float
    confidence_p50: float
    inference_ms_p50: float
    inference_ms_p95: float
    inference_ms_p99: float
    labelled: int
    correct: int
    accuracy: float
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., predictions: _Optional[int] = ..., labels: _Optional[_Mapping[str, int]] = ..., mean_confidence: _Optional[float] = ..., confidence_p05: _Optional[float] = ..., confidence_p50: _Optional[float] = ..., inference_ms_p50: _Optional[float] = ..., inference_ms_p95: _Optional[float] = ..., inference_ms_p99: _Optional[float] = ..., labelled: _Optional[int] = ..., correct: _Optional[int] = ..., accuracy: _Optional[float] = ...) -> None: ...

class ExportPredictionsRequest(_message.Message):
    __slots__ = ("tenant", "filter", "format", "after")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    filter: PredictionFilter
    format: ExportFormat
    after: str
    def __init__(self, tenant: _Optional[str] = ..., filter: _Optional[_Union[PredictionFilter, _Mapping]] = ..., format: _Optional[_Union[ExportFormat, str]] = ..., after: _Optional[str] = ...) -> None: ...

class ExportPredictionsResponse(_message.Message):
    __slots__ = ("data", "rows", "last_prediction_id")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LAST_PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    rows: int
    last_prediction_id: str
    def __init__(self, data: _Optional[bytes] = ..., rows: _Optional[int] = ..., last_prediction_id: _Optional[str] = ...) -> None: ...

class LoggedPrediction(_message.Message):
    __slots__ = ("prediction_id", "predicted_at", "model", "model_version", "client_id", "delegate_id", "request_id", "input_sha256", "input_characters", "input_tokens", "label", "confidence", "probabilities", "inference_ms", "feedback", "shadow", "keeping", "input_text", "erased")
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
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    KEEPING_FIELD_NUMBER: _ClassVar[int]
    INPUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
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
    shadow: bool
    keeping: _keeping_pb2.Keeping
    input_text: str
    erased: bool
    def __init__(self, prediction_id: _Optional[str] = ..., predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., client_id: _Optional[str] = ..., delegate_id: _Optional[str] = ..., request_id: _Optional[str] = ..., input_sha256: _Optional[str] = ..., input_characters: _Optional[int] = ..., input_tokens: _Optional[int] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., inference_ms: _Optional[float] = ..., feedback: _Optional[_Union[Feedback, _Mapping]] = ..., shadow: _Optional[bool] = ..., keeping: _Optional[_Union[_keeping_pb2.Keeping, _Mapping]] = ..., input_text: _Optional[str] = ..., erased: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("tenant", "client_id", "prediction_id", "correct_label", "score", "comment", "idempotency_key")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECT_LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    client_id: str
    prediction_id: str
    correct_label: str
    score: float
    comment: str
    idempotency_key: str
    def __init__(self, tenant: _Optional[str] = ..., client_id: _Optional[str] = ..., prediction_id: _Optional[str] = ..., correct_label: _Optional[str] = ..., score: _Optional[float] = ..., comment: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RecordFeedbackResponse(_message.Message):
    __slots__ = ("feedback_id",)
    FEEDBACK_ID_FIELD_NUMBER: _ClassVar[int]
    feedback_id: str
    def __init__(self, feedback_id: _Optional[str] = ...) -> None: ...

class ListFeedbackRequest(_message.Message):
    __slots__ = ("tenant", "prediction_id", "limit", "cursor")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    prediction_id: str
    limit: int
    cursor: str
    def __init__(self, tenant: _Optional[str] = ..., prediction_id: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListFeedbackResponse(_message.Message):
    __slots__ = ("feedback", "next_cursor")
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    feedback: _containers.RepeatedCompositeFieldContainer[Feedback]
    next_cursor: str
    def __init__(self, feedback: _Optional[_Iterable[_Union[Feedback, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AppendRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[AppendRecord, _Mapping]]] = ...) -> None: ...

class AppendRecord(_message.Message):
    __slots__ = ("prediction_id", "predicted_at", "model", "model_version", "request_id", "input_sha256", "input_characters", "input_tokens", "input_unknown_tokens", "input_special_tokens", "label", "probabilities", "inference_ms", "shadow")
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
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    INPUT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_UNKNOWN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_SPECIAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    prediction_id: str
    predicted_at: _timestamp_pb2.Timestamp
    model: str
    model_version: str
    request_id: str
    input_sha256: bytes
    input_characters: int
    input_tokens: int
    input_unknown_tokens: int
    input_special_tokens: int
    label: str
    probabilities: _containers.ScalarMap[str, float]
    inference_ms: float
    shadow: bool
    def __init__(self, prediction_id: _Optional[str] = ..., predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., request_id: _Optional[str] = ..., input_sha256: _Optional[bytes] = ..., input_characters: _Optional[int] = ..., input_tokens: _Optional[int] = ..., input_unknown_tokens: _Optional[int] = ..., input_special_tokens: _Optional[int] = ..., label: _Optional[str] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., inference_ms: _Optional[float] = ..., shadow: _Optional[bool] = ...) -> None: ...

class AppendResponse(_message.Message):
    __slots__ = ("accepted", "rejected", "rejections")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    rejected: int
    rejections: _containers.RepeatedCompositeFieldContainer[AppendRejection]
    def __init__(self, accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[AppendRejection, _Mapping]]] = ...) -> None: ...

class AppendRejection(_message.Message):
    __slots__ = ("index", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPORT_FORMAT_UNSPECIFIED: _ClassVar[ReportFormat]
    REPORT_FORMAT_HTML: _ClassVar[ReportFormat]
    REPORT_FORMAT_MARKDOWN: _ClassVar[ReportFormat]

class RecommendedAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECOMMENDED_ACTION_UNSPECIFIED: _ClassVar[RecommendedAction]
    RECOMMENDED_ACTION_NONE: _ClassVar[RecommendedAction]
    RECOMMENDED_ACTION_WAIT: _ClassVar[RecommendedAction]
    RECOMMENDED_ACTION_INVESTIGATE: _ClassVar[RecommendedAction]
    RECOMMENDED_ACTION_RETRAIN: _ClassVar[RecommendedAction]

class VerdictState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_STATE_UNSPECIFIED: _ClassVar[VerdictState]
    VERDICT_STATE_NO_DRIFT: _ClassVar[VerdictState]
    VERDICT_STATE_DRIFT: _ClassVar[VerdictState]
    VERDICT_STATE_NOT_ENOUGH_DATA: _ClassVar[VerdictState]
    VERDICT_STATE_CONSTANT: _ClassVar[VerdictState]
    VERDICT_STATE_REFERENCE_MISSING: _ClassVar[VerdictState]
    VERDICT_STATE_REFERENCE_MISMATCH: _ClassVar[VerdictState]

class SignalStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_STATUS_UNSPECIFIED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_MEASURED: _ClassVar[SignalStatus]
    SIGNAL_STATUS_NOT_ENOUGH_DATA: _ClassVar[SignalStatus]
REPORT_FORMAT_UNSPECIFIED: ReportFormat
REPORT_FORMAT_HTML: ReportFormat
REPORT_FORMAT_MARKDOWN: ReportFormat
RECOMMENDED_ACTION_UNSPECIFIED: RecommendedAction
RECOMMENDED_ACTION_NONE: RecommendedAction
RECOMMENDED_ACTION_WAIT: RecommendedAction
RECOMMENDED_ACTION_INVESTIGATE: RecommendedAction
RECOMMENDED_ACTION_RETRAIN: RecommendedAction
VERDICT_STATE_UNSPECIFIED: VerdictState
VERDICT_STATE_NO_DRIFT: VerdictState
VERDICT_STATE_DRIFT: VerdictState
VERDICT_STATE_NOT_ENOUGH_DATA: VerdictState
VERDICT_STATE_CONSTANT: VerdictState
VERDICT_STATE_REFERENCE_MISSING: VerdictState
VERDICT_STATE_REFERENCE_MISMATCH: VerdictState
SIGNAL_STATUS_UNSPECIFIED: SignalStatus
SIGNAL_STATUS_MEASURED: SignalStatus
SIGNAL_STATUS_NOT_ENOUGH_DATA: SignalStatus

class GetReportRequest(_message.Message):
    __slots__ = ("model", "version", "report_id", "tenant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    report_id: str
    tenant: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., report_id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetReportResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: Report
    def __init__(self, report: _Optional[_Union[Report, _Mapping]] = ...) -> None: ...

class RenderedReport(_message.Message):
    __slots__ = ("content", "style_sha256", "digest")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    STYLE_SHA256_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    style_sha256: str
    digest: str
    def __init__(self, content: _Optional[bytes] = ..., style_sha256: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class RenderReportRequest(_message.Message):
    __slots__ = ("model", "version", "report_id", "format", "tenant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    report_id: str
    format: ReportFormat
    tenant: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., report_id: _Optional[str] = ..., format: _Optional[_Union[ReportFormat, str]] = ..., tenant: _Optional[str] = ...) -> None: ...

class RenderReportResponse(_message.Message):
    __slots__ = ("rendered",)
    RENDERED_FIELD_NUMBER: _ClassVar[int]
    rendered: RenderedReport
    def __init__(self, rendered: _Optional[_Union[RenderedReport, _Mapping]] = ...) -> None: ...

class ListReportsRequest(_message.Message):
    __slots__ = ("model", "version", "tenant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    tenant: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class ListReportsResponse(_message.Message):
    __slots__ = ("model", "model_version", "reports")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    reports: _containers.RepeatedCompositeFieldContainer[ReportSummary]
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., reports: _Optional[_Iterable[_Union[ReportSummary, _Mapping]]] = ...) -> None: ...

class ReportSummary(_message.Message):
    __slots__ = ("report_id", "first_predicted_at", "last_predicted_at", "rows", "drifted", "judged", "reference_id", "fault")
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DRIFTED_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    report_id: str
    first_predicted_at: _timestamp_pb2.Timestamp
    last_predicted_at: _timestamp_pb2.Timestamp
    rows: int
    drifted: _containers.RepeatedScalarFieldContainer[str]
    judged: bool
    reference_id: str
    fault: str
    def __init__(self, report_id: _Optional[str] = ..., first_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[int] = ..., drifted: _Optional[_Iterable[str]] = ..., judged: _Optional[bool] = ..., reference_id: _Optional[str] = ..., fault: _Optional[str] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: _timestamp_pb2.Timestamp
    def __init__(self, to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., **kwargs) -> None: ...

class CompareRangesRequest(_message.Message):
    __slots__ = ("model", "version", "reference", "window", "tenant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    reference: TimeRange
    window: TimeRange
    tenant: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., reference: _Optional[_Union[TimeRange, _Mapping]] = ..., window: _Optional[_Union[TimeRange, _Mapping]] = ..., tenant: _Optional[str] = ...) -> None: ...

class CompareRangesResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: Report
    def __init__(self, report: _Optional[_Union[Report, _Mapping]] = ...) -> None: ...

class RenderComparisonRequest(_message.Message):
    __slots__ = ("comparison", "format")
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    comparison: CompareRangesRequest
    format: ReportFormat
    def __init__(self, comparison: _Optional[_Union[CompareRangesRequest, _Mapping]] = ..., format: _Optional[_Union[ReportFormat, str]] = ...) -> None: ...

class RenderComparisonResponse(_message.Message):
    __slots__ = ("rendered",)
    RENDERED_FIELD_NUMBER: _ClassVar[int]
    rendered: RenderedReport
    def __init__(self, rendered: _Optional[_Union[RenderedReport, _Mapping]] = ...) -> None: ...

class GetPowerRequest(_message.Message):
    __slots__ = ("model", "version", "rows", "effect")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    rows: int
    effect: float
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., rows: _Optional[int] = ..., effect: _Optional[float] = ...) -> None: ...

class GetPowerResponse(_message.Message):
    __slots__ = ("model", "model_version", "signals", "reference_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    signals: _containers.RepeatedCompositeFieldContainer[SignalPower]
    reference_id: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., signals: _Optional[_Iterable[_Union[SignalPower, _Mapping]]] = ..., reference_id: _Optional[str] = ...) -> None: ...

class SignalPower(_message.Message):
    __slots__ = ("signal", "group", "kind", "power", "minimum_detectable_effect", "rows_for_80", "rows_for_95")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_DETECTABLE_EFFECT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FOR_80_FIELD_NUMBER: _ClassVar[int]
    ROWS_FOR_95_FIELD_NUMBER: _ClassVar[int]
    signal: str
    group: str
    kind: str
    power: float
    minimum_detectable_effect: float
    rows_for_80: int
    rows_for_95: int
    def __init__(self, signal: _Optional[str] = ..., group: _Optional[str] = ..., kind: _Optional[str] = ..., power: _Optional[float] = ..., minimum_detectable_effect: _Optional[float] = ..., rows_for_80: _Optional[int] = ..., rows_for_95: _Optional[int] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("model", "model_version", "generated_at", "reference", "window", "signals", "feedback", "verdicts", "impact", "report_id", "recommendation", "slices", "shapes", "tenant")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATED_AT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    IMPACT_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATION_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    generated_at: _timestamp_pb2.Timestamp
    reference: Reference
    window: Window
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    feedback: FeedbackSummary
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    impact: Impact
    report_id: str
    recommendation: Recommendation
    slices: _containers.RepeatedCompositeFieldContainer[Slice]
    shapes: _containers.RepeatedCompositeFieldContainer[Shape]
    tenant: str
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., generated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reference: _Optional[_Union[Reference, _Mapping]] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., feedback: _Optional[_Union[FeedbackSummary, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., impact: _Optional[_Union[Impact, _Mapping]] = ..., report_id: _Optional[str] = ..., recommendation: _Optional[_Union[Recommendation, _Mapping]] = ..., slices: _Optional[_Iterable[_Union[Slice, _Mapping]]] = ..., shapes: _Optional[_Iterable[_Union[Shape, _Mapping]]] = ..., tenant: _Optional[str] = ...) -> None: ...

class Recommendation(_message.Message):
    __slots__ = ("action", "reasons")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    action: RecommendedAction
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, action: _Optional[_Union[RecommendedAction, str]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class Slice(_message.Message):
    __slots__ = ("signal", "rows", "reference_share", "window_share")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_SHARE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SHARE_FIELD_NUMBER: _ClassVar[int]
    signal: str
    rows: str
    reference_share: float
    window_share: float
    def __init__(self, signal: _Optional[str] = ..., rows: _Optional[str] = ..., reference_share: _Optional[float] = ..., window_share: _Optional[float] = ...) -> None: ...

class Shape(_message.Message):
    __slots__ = ("signal", "edges", "names", "reference", "window")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    signal: str
    edges: _containers.RepeatedScalarFieldContainer[float]
    names: _containers.RepeatedScalarFieldContainer[str]
    reference: _containers.RepeatedScalarFieldContainer[float]
    window: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, signal: _Optional[str] = ..., edges: _Optional[_Iterable[float]] = ..., names: _Optional[_Iterable[str]] = ..., reference: _Optional[_Iterable[float]] = ..., window: _Optional[_Iterable[float]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("signal", "group", "state", "rows", "reference_rows", "effect", "p_value", "minimum_detectable_effect", "since", "windows")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ROWS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_DETECTABLE_EFFECT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    signal: str
    group: str
    state: VerdictState
    rows: int
    reference_rows: int
    effect: Estimate
    p_value: float
    minimum_detectable_effect: float
    since: _timestamp_pb2.Timestamp
    windows: int
    def __init__(self, signal: _Optional[str] = ..., group: _Optional[str] = ..., state: _Optional[_Union[VerdictState, str]] = ..., rows: _Optional[int] = ..., reference_rows: _Optional[int] = ..., effect: _Optional[_Union[Estimate, _Mapping]] = ..., p_value: _Optional[float] = ..., minimum_detectable_effect: _Optional[float] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., windows: _Optional[int] = ...) -> None: ...

class Impact(_message.Message):
    __slots__ = ("accuracy", "reference_accuracy", "expected_loss", "recalibrated")
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LOSS_FIELD_NUMBER: _ClassVar[int]
    RECALIBRATED_FIELD_NUMBER: _ClassVar[int]
    accuracy: Estimate
    reference_accuracy: float
    expected_loss: float
    recalibrated: bool
    def __init__(self, accuracy: _Optional[_Union[Estimate, _Mapping]] = ..., reference_accuracy: _Optional[float] = ..., expected_loss: _Optional[float] = ..., recalibrated: _Optional[bool] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("source", "rows", "reference_id")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    source: str
    rows: int
    reference_id: str
    def __init__(self, source: _Optional[str] = ..., rows: _Optional[int] = ..., reference_id: _Optional[str] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("first_predicted_at", "last_predicted_at", "rows", "capacity")
    FIRST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_PREDICTED_AT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    first_predicted_at: _timestamp_pb2.Timestamp
    last_predicted_at: _timestamp_pb2.Timestamp
    rows: int
    capacity: int
    def __init__(self, first_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_predicted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[int] = ..., capacity: _Optional[int] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("name", "status", "number", "ratio", "category")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: SignalStatus
    number: NumberComparison
    ratio: RatioComparison
    category: CategoryComparison
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[SignalStatus, str]] = ..., number: _Optional[_Union[NumberComparison, _Mapping]] = ..., ratio: _Optional[_Union[RatioComparison, _Mapping]] = ..., category: _Optional[_Union[CategoryComparison, _Mapping]] = ...) -> None: ...

class NumberComparison(_message.Message):
    __slots__ = ("reference", "window", "ks_distance", "mean_difference")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    KS_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    MEAN_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: NumberSummary
    window: NumberSummary
    ks_distance: float
    mean_difference: Estimate
    def __init__(self, reference: _Optional[_Union[NumberSummary, _Mapping]] = ..., window: _Optional[_Union[NumberSummary, _Mapping]] = ..., ks_distance: _Optional[float] = ..., mean_difference: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

class NumberSummary(_message.Message):
    __slots__ = ("rows", "mean", "standard_deviation", "minimum", "maximum", "p05", "p25", "p50", "p75", "p95")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STANDARD_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    P05_FIELD_NUMBER: _ClassVar[int]
    P25_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P75_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    rows: int
    mean: float
    standard_deviation: float
    minimum: float
    maximum: float
    p05: float
    p25: float
    p50: float
    p75: float
    p95: float
    def __init__(self, rows: _Optional[int] = ..., mean: _Optional[float] = ..., standard_deviation: _Optional[float] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., p05: _Optional[float] = ..., p25: _Optional[float] = ..., p50: _Optional[float] = ..., p75: _Optional[float] = ..., p95: _Optional[float] = ...) -> None: ...

class RatioComparison(_message.Message):
    __slots__ = ("reference", "window", "difference")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: RatioSummary
    window: RatioSummary
    difference: Estimate
    def __init__(self, reference: _Optional[_Union[RatioSummary, _Mapping]] = ..., window: _Optional[_Union[RatioSummary, _Mapping]] = ..., difference: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

class RatioSummary(_message.Message):
    __slots__ = ("rows", "numerator", "denominator")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    rows: int
    numerator: float
    denominator: float
    def __init__(self, rows: _Optional[int] = ..., numerator: _Optional[float] = ..., denominator: _Optional[float] = ...) -> None: ...

class CategoryComparison(_message.Message):
    __slots__ = ("reference", "window", "total_variation", "share_differences")
    class ReferenceEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class WindowEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ShareDifferencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Estimate
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    TOTAL_VARIATION_FIELD_NUMBER: _ClassVar[int]
    SHARE_DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    reference: _containers.ScalarMap[str, int]
    window: _containers.ScalarMap[str, int]
    total_variation: float
    share_differences: _containers.MessageMap[str, Estimate]
    def __init__(self, reference: _Optional[_Mapping[str, int]] = ..., window: _Optional[_Mapping[str, int]] = ..., total_variation: _Optional[float] = ..., share_differences: _Optional[_Mapping[str, Estimate]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("value", "lower", "upper")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ...) -> None: ...

class FeedbackSummary(_message.Message):
    __slots__ = ("labelled", "accuracy", "accuracy_lower", "accuracy_upper")
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_LOWER_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_UPPER_FIELD_NUMBER: _ClassVar[int]
    labelled: int
    accuracy: float
    accuracy_lower: float
    accuracy_upper: float
    def __init__(self, labelled: _Optional[int] = ..., accuracy: _Optional[float] = ..., accuracy_lower: _Optional[float] = ..., accuracy_upper: _Optional[float] = ...) -> None: ...

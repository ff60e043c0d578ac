"""What the log keeps and what it answers. Knows no transport and no database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

MAX_NAME = 128
"""Characters of a tenant, a client, a model, a version, a request id."""
MAX_LABEL = 256
MAX_LABELS = 1000
MAX_CLASS = 32
"""Characters of a retention class."""
MAX_COMMENT = 2000
MAX_IDEMPOTENCY_KEY = 128
MAX_SUBJECT = 256
MAX_COUNT = 2**31 - 1
"""Largest count that an integer column takes."""


class InputKeeping(StrEnum):
    """What is kept of an input beside its hash and its counts."""

    NOTHING = "nothing"
    ENCRYPTED = "encrypted"
    """The text, under a key of the person whom it is about."""
    PLAIN = "plain"


# Not frozen: making one would take ten times as long, and thousands are made a second.
@dataclass(slots=True)
class PredictionRecord:
    """One answer of a model. What is private of it is filled in on the way to the table."""

    id: UUID
    """UUIDv7: its time is the row's partition."""
    predicted_at: datetime
    tenant: str
    client_id: str
    delegate_id: str | None
    """Who called on the client's behalf."""
    request_id: str
    model: str
    model_version: str
    input_sha256: bytes
    input_characters: int
    input_tokens: int
    input_unknown_tokens: int
    input_special_tokens: int
    label: str
    confidence: float
    probabilities: Mapping[str, float]
    inference_ms: float
    shadow: bool
    """Answered by a version without traffic; the caller never saw it."""
    retention_class: str = ""
    """As the event names it; empty where it names none."""
    input_keeping: InputKeeping = InputKeeping.NOTHING
    input_unopened: bool = False
    """The event carries a sealed private part that was not opened."""
    subject_digest: bytes | None = field(default=None, repr=False)
    """Pseudonym of the person whom the input is about; see `pseudonyms`."""
    input_text: str | None = field(default=None, repr=False)
    """Reaches the table only where the policy is to keep it plain."""
    input_ciphertext: bytes | None = field(default=None, repr=False)
    input_key_id: UUID | None = None
    """Key of `input_ciphertext`, in `subject_keys`."""
    erased_at: datetime | None = None
    """When the person was erased from this row."""

    @property
    def is_to_be_encrypted(self) -> bool:
        """Whether it holds a text that must not be written as it is."""
        return self.input_text is not None and self.input_keeping is InputKeeping.ENCRYPTED


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """What a prediction should have been, as somebody said.

    Of several on one prediction the latest counts: the one with the highest (given_at, id).
    """

    id: UUID
    given_at: datetime
    prediction_id: UUID
    tenant: str
    client_id: str
    correct_label: str | None
    score: float | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """A replica began to serve a model version."""

    id: UUID
    deployed_at: datetime
    model: str
    model_version: str
    manifest_sha256: str
    instance: str
    traffic_percent: int


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One statistic of one window of predictions."""

    measurement_id: UUID
    signal: str
    statistic: str
    value: float
    measured_at: datetime
    model: str
    model_version: str
    window_start: datetime
    window_end: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Somebody did, or was refused, something."""

    id: UUID
    occurred_at: datetime
    action: str
    outcome: str
    client_id: str | None
    tenant: str | None
    client_address: str | None
    request_id: str | None
    reason: str | None
    target: str | None
    """What it was done to; never personal data."""


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """A drift incident as one of its revisions tells it, whole."""

    id: UUID
    """The incident's."""
    revision: int
    """From 1; the highest is the incident as it is."""
    changed_at: datetime
    raised_at: datetime
    resolved_at: datetime | None
    tenant: str | None
    """None for an incident of all tenants together."""
    model: str
    model_version: str
    signal: str
    state: str
    severity: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry of a stream that can never become a row, kept for somebody to look at."""

    stream: str
    entry_id: str
    type_name: str
    data: bytes
    reason: str


Record = (
    PredictionRecord
    | FeedbackRecord
    | DeploymentRecord
    | MetricRecord
    | AuditRecord
    | IncidentChange
    | DeadLetter
)


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """What is set must match; None matches everything."""

    model: str | None = None
    model_version: str | None = None
    label: str | None = None
    client_id: str | None = None
    predicted_from: datetime | None = None
    """Inclusive."""
    predicted_before: datetime | None = None
    """Exclusive."""
    has_feedback: bool | None = None
    subject_digest: bytes | None = None
    confidence_from: float | None = None
    """Inclusive."""
    confidence_to: float | None = None
    """Inclusive."""
    shadow: bool | None = None
    input_sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """A prediction with the latest feedback on it."""

    record: PredictionRecord
    """Without its private part."""
    feedback: FeedbackRecord | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the predictions that match, newest first."""

    predictions: list[LoggedPrediction]
    """May be fewer than asked for, even none, on a page that is not the last."""
    after: UUID | None
    """Where the next page goes on; None on the last."""


class ExportFormat(StrEnum):
    """What a file of predictions is."""

    CSV = "csv"
    """RFC 4180, with a header. Texts stay as they are: a program that takes those which begin with
    `=`, `+`, `-` or `@` for formulas must be told that they are text."""
    JSON_LINES = "jsonl"
    """One JSON object a line."""
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ExportPiece:
    """The next bytes of a file."""

    data: bytes
    rows: int
    """In the file so far, as far as `last` goes."""
    last: UUID | None
    """The bytes so far, this piece included, hold all that matches up to this id. It moves with the
    last piece of a stretch; None before the first, and with Parquet before the very last piece."""


@dataclass(frozen=True, slots=True)
class PredictionStats:
    """Counts and quantiles; None where there is nothing to count."""

    predictions: int
    labels: Mapping[str, int]
    mean_confidence: float | None
    inference_ms_p50: float | None
    inference_ms_p95: float | None
    inference_ms_p99: float | None
    labelled: int
    correct: int

    @property
    def accuracy(self) -> float | None:
        """Share of the labelled predictions that were right."""
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was asked for about a person, and how far it has come."""

    id: UUID
    tenant: str
    subject_digest: bytes = field(repr=False)
    requested_at: datetime
    """Predictions up to this moment are covered."""
    completed_at: datetime | None = None
    """None while a row or a stream may still hold something."""
    redacted: int = 0
    """Rows that were redacted; those that came later were redacted before they were written."""

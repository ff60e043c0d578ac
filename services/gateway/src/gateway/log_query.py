"""The part of a query string that picks predictions, and its names for the log's fields."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Header, Query
from pydantic import AwareDatetime

from gateway.api_shapes import PlainText
from gateway.prediction_log_client import PredictionQuery
from gateway.text_rules import is_clean
from servicekit.errors import FieldViolation, InvalidInput

SUBJECT_HEADER = "Weir-Subject"
Word = Annotated[PlainText | None, Query(max_length=128)]
From = Annotated[
    AwareDatetime | None,
    Query(alias="from", description="Inclusive.", examples=["2026-11-01T00:00:00Z"]),
]
Before = Annotated[
    AwareDatetime | None, Query(description="Exclusive.", examples=["2026-12-01T00:00:00Z"])
]
_Share = Annotated[float | None, Query(ge=0, le=1, description="Inclusive.", examples=[0.6])]
_PARAMETERS = {
    "filter.model": "model",
    "filter.model_version": "version",
    "filter.label": "label",
    "filter.client_id": "client_id",
    "filter.predicted_from": "from",
    "filter.predicted_before": "before",
    "filter.confidence_from": "min_confidence",
    "filter.confidence_to": "max_confidence",
    "filter.input_sha256": "input_sha256",
    "filter.occurred_from": "from",
    "filter.occurred_before": "before",
    "filter.action_prefix": "action",
    "filter.target": "target",
    "filter.tenant": "tenant",
    "filter.subject": SUBJECT_HEADER,
    "model_version": "version",
    "predicted_from": "from",
    "predicted_before": "before",
}
"""The query's names of the log's fields, where they differ."""


def _matching(
    model: Word = None,
    version: Word = None,
    label: Word = None,
    client_id: Word = None,
    predicted_from: From = None,
    before: Before = None,
    has_feedback: bool | None = None,
    min_confidence: _Share = None,
    max_confidence: _Share = None,
    shadow: Annotated[
        bool | None,
        Query(description="Whether a version without traffic answered; callers never saw those."),
    ] = None,
    input_sha256: Annotated[
        str | None,
        Query(
            pattern="^[0-9a-fA-F]{64}$",
            description="SHA-256 of the text's UTF-8 bytes, hex: finds every prediction of a text.",
        ),
    ] = None,
    subject: Annotated[
        str | None,
        Header(
            alias=SUBJECT_HEADER,
            max_length=3072,
            description="Predictions about this person, by the name that they were made with, in "
            "percent-encoded UTF-8. A header, because addresses end up in logs.",
            examples=["customer-4711"],
        ),
    ] = None,
) -> PredictionQuery:
    return PredictionQuery(
        model=model or "",
        model_version=version or "",
        label=label or "",
        client_id=client_id or "",
        predicted_from=predicted_from,
        predicted_before=before,
        has_feedback=has_feedback,
        confidence_from=min_confidence,
        confidence_to=max_confidence,
        shadow=shadow,
        input_sha256=input_sha256 or "",
        subject=_decoded(subject) if subject else "",
    )


def _decoded(subject: str) -> str:
    try:
        name = unquote_to_bytes(subject).decode()
    except UnicodeError as error:
        fault = FieldViolation(SUBJECT_HEADER, "is no percent-encoded UTF-8")
        raise InvalidInput("The query cannot be taken.", violations=[fault]) from error
    if not is_clean(name):
        fault = FieldViolation(SUBJECT_HEADER, "holds a NUL character")
        raise InvalidInput("The query cannot be taken.", violations=[fault])
    return name


Matching = Annotated[PredictionQuery, Depends(_matching)]


@contextmanager
def fields_as_parameters() -> Iterator[None]:
    """Calls what the log refuses by the names that the query gave it."""
    try:
        yield
    except InvalidInput as error:
        violations = [
            FieldViolation(_PARAMETERS.get(fault.field, fault.field), fault.description)
            for fault in error.violations
        ]
        raise InvalidInput(
            "The query cannot be taken.", reason=error.code, violations=violations
        ) from error

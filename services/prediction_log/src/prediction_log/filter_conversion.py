"""A filter of the contract into the log's own, field by field."""

import re
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log.converters import invalid, text_from
from prediction_log.domain import MAX_LABEL, PredictionFilter
from weir.predictions.v1 import predictions_pb2

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def filter_from(matching: predictions_pb2.PredictionFilter) -> PredictionFilter:
    """What a list, statistics or an export are about, but for the subject.

    Raises:
        InvalidRequest: a field cannot be taken.
    """
    confidence_from = _share_from(matching, "confidence_from")
    confidence_to = _share_from(matching, "confidence_to")
    if (
        confidence_from is not None
        and confidence_to is not None
        and confidence_from > confidence_to
    ):
        raise invalid("filter.confidence_to", "is below confidence_from")
    return PredictionFilter(
        model=text_from("filter.model", matching.model),
        model_version=text_from("filter.model_version", matching.model_version),
        label=text_from("filter.label", matching.label, MAX_LABEL),
        client_id=text_from("filter.client_id", matching.client_id),
        predicted_from=moment_from(matching, "predicted_from", "filter."),
        predicted_before=moment_from(matching, "predicted_before", "filter."),
        has_feedback=_given(matching, "has_feedback"),
        confidence_from=confidence_from,
        confidence_to=confidence_to,
        shadow=_given(matching, "shadow"),
        input_sha256=_digest_from(matching.input_sha256),
    )


def moment_from(message: Message, field: str, path: str = "") -> datetime | None:
    """A moment in UTC; None when it is absent.

    Args:
        path: what leads to the field, for errors.

    Raises:
        InvalidRequest: it is no moment that a prediction could have been made at.
    """
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    try:
        moment = value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(f"{path}{field}", "is out of range") from error
    # Before the epoch no UUIDv7 was made; the last years leave no room for the tolerance.
    if not 1970 <= moment.year <= 9998:
        raise invalid(f"{path}{field}", "is not between the years 1970 and 9998")
    return moment


def _share_from(message: Message, field: str) -> float | None:
    value: float | None = _given(message, field)
    # Written so that NaN fails too.
    if value is not None and not 0 <= value <= 1:
        raise invalid(f"filter.{field}", "is not between 0 and 1")
    return value


def _digest_from(text: str) -> bytes | None:
    if not text:
        return None
    if not _SHA256.fullmatch(text):
        raise invalid("filter.input_sha256", "is no SHA-256 in 64 hexadecimal digits")
    return bytes.fromhex(text)


def _given(message: Message, field: str) -> Any:
    """The value of an optional field; None when it is absent."""
    return getattr(message, field) if message.HasField(field) else None

"""Changes of drift incidents into rows."""

import math
from collections.abc import Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from prediction_log import event_rules as rules
from prediction_log.domain import IncidentChange
from prediction_log.errors import PoisonEvent
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2

MAX_DETAILS = 64 * 1024
"""Bytes, serialised."""
_STATES = {
    events_pb2.DRIFT_INCIDENT_STATE_OPEN: "open",
    events_pb2.DRIFT_INCIDENT_STATE_ACKNOWLEDGED: "acknowledged",
    events_pb2.DRIFT_INCIDENT_STATE_SILENCED: "silenced",
    events_pb2.DRIFT_INCIDENT_STATE_CLOSED: "closed",
}


def decode_incident(event: Event) -> Sequence[IncidentChange]:
    """The row of a DriftIncidentChanged.

    Raises:
        PoisonEvent: it can never be one.
    """
    fact = rules.parse(event, events_pb2.DriftIncidentChanged())
    if fact.revision == 0:
        raise PoisonEvent("revision is missing")
    if fact.state not in _STATES:
        raise PoisonEvent("state is unknown")
    if fact.details.ByteSize() > MAX_DETAILS:
        raise PoisonEvent(f"details are longer than {MAX_DETAILS} bytes")
    closed = fact.HasField("closed_at")
    return [
        IncidentChange(
            id=rules.identifier("incident_id", fact.incident_id),
            revision=rules.count("revision", fact.revision),
            changed_at=rules.moment("changed_at", fact.changed_at),
            raised_at=rules.moment("opened_at", fact.opened_at),
            resolved_at=rules.moment("closed_at", fact.closed_at) if closed else None,
            tenant=rules.optional_text("tenant", fact.tenant),
            model=rules.text("model", fact.model),
            model_version=rules.text("model_version", fact.model_version),
            signal=rules.text("signal", fact.signal),
            state=_STATES[fact.state],
            severity=rules.text("severity", fact.severity),
            details=_object(fact.details),
        )
    ]


def _object(struct: Struct) -> dict[str, Any]:
    return {_clean(name): _value(value) for name, value in struct.fields.items()}


def _list(values: ListValue) -> list[Any]:
    return [_value(value) for value in values.values]


def _value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return _list(value.list_value)
        case "string_value":
            return _clean(value.string_value)
        case "number_value":
            number = value.number_value
            # JSON has no such numbers; an incident must not be lost for one.
            return number if math.isfinite(number) else str(number)
        case "bool_value":
            return value.bool_value
    return None


def _clean(text: str) -> str:
    if "\0" in text:
        raise PoisonEvent("details hold a NUL character")
    return text

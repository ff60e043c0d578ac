"""What drift publishes of an incident is what the log writes into monitoring_alerts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drift.domain import Estimate, ModelVersion
from drift.incident_advice import Severity
from drift.incident_events import from_told
from drift.incidents import Change, Direction, DriftedSignal, Incident, Told
from drift.recommendation import Action
from prediction_log.incident_decoding import decode_incident
from servicekit.event_stream import Event
from servicekit.identifiers import new_id

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
INCIDENT = Incident(
    id=new_id(),
    revision=1,
    tenant="",
    group="text",
    signal="input_tokens",
    direction=Direction.UP,
    opened_at=START,
    changed_at=START,
    began_at=START - timedelta(hours=2),
    last_drift_at=START,
    signals=(DriftedSignal("input_tokens", Direction.UP, Estimate(0.4, 0.3, 0.5), 0.001),),
    severity=Severity.CRITICAL,
    action=Action.RETRAIN,
    reasons=("It lasts.",),
    loss=Estimate(0.07, 0.05, 0.09),
    reference="validation split",
)
LATER = START + timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "incident", "state"),
    [
        (Change.OPENED, INCIDENT, "open"),
        (Change.UPDATED, replace(INCIDENT, revision=2, loss=None), "open"),
        (
            Change.ACKNOWLEDGED,
            replace(INCIDENT, revision=3, acknowledged_at=START, acknowledged_by="on-call"),
            "acknowledged",
        ),
        (Change.SILENCED, replace(INCIDENT, revision=4, silenced_until=LATER), "silenced"),
        (Change.CLOSED, replace(INCIDENT, revision=5, closed_at=LATER), "closed"),
    ],
)
def test_log_takes_every_change_as_drift_tells_it(
    change: Change, incident: Incident, state: str
) -> None:
    fact = from_told(ModelVersion("sentiment", "2"), Told(change, incident))
    event = Event("1-0", fact.DESCRIPTOR.full_name, fact.SerializeToString(), "")
    (row,) = decode_incident(event)
    assert (row.id, row.revision, row.state) == (incident.id, incident.revision, state)
    assert (row.model, row.model_version, row.signal) == ("sentiment", "2", "text")
    assert (row.severity, row.tenant) == ("critical", None)
    assert (row.raised_at, row.resolved_at) == (START, incident.closed_at)
    assert row.details["change"] == change.value
    assert row.details["action"] == "retrain"
    assert row.details["signals"][0]["effect"]["lower"] == 0.3

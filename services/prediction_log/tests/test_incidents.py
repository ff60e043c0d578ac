"""Drift incidents, from their events to rows."""

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prediction_log.database import database_url
from prediction_log.incident_decoding import MAX_DETAILS, decode_incident
from prediction_log.migrate import downgrade, upgrade
from prediction_log.settings import Settings
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import new_id, time_of
from testkit.stores import PostgresStore
from weir.events.v1.events_pb2 import (
    DRIFT_INCIDENT_STATE_ACKNOWLEDGED,
    DRIFT_INCIDENT_STATE_CLOSED,
    DRIFT_INCIDENT_STATE_OPEN,
    DRIFT_INCIDENT_STATE_SILENCED,
    DriftIncidentChanged,
)

STREAM = Settings().incidents_stream
STATES = {
    DRIFT_INCIDENT_STATE_OPEN: "open",
    DRIFT_INCIDENT_STATE_ACKNOWLEDGED: "acknowledged",
    DRIFT_INCIDENT_STATE_SILENCED: "silenced",
    DRIFT_INCIDENT_STATE_CLOSED: "closed",
}


def changed(identifier: Any, revision: int, **changes: Any) -> DriftIncidentChanged:
    """A valid change; keyword arguments replace fields."""
    opened = int(time_of(identifier).timestamp())
    state = changes.get("state", list(STATES)[revision % len(STATES)])
    closed = state == DRIFT_INCIDENT_STATE_CLOSED
    values: dict[str, Any] = {
        "incident_id": str(identifier),
        "revision": revision,
        "changed_at": Timestamp(seconds=opened + 60 * revision),
        "opened_at": Timestamp(seconds=opened),
        "closed_at": Timestamp(seconds=opened + 60 * revision) if closed else None,
        "tenant": "tenant-1",
        "model": "sentiment",
        "model_version": "1",
        "signal": "input_tokens",
        "state": state,
        "severity": "critical" if revision % 2 else "warning",
    }
    fact = DriftIncidentChanged(**values | changes)
    if "details" not in changes:
        fact.details.update({"effect": 0.25 * revision, "interval": [0.1, 0.4], "p_value": 0.001})
    return fact


async def record(log: Any, facts: Any, *changes: DriftIncidentChanged) -> None:
    await log.recorder(decode_incident, STREAM).record(facts.events(*changes))


async def test_incident_becomes_a_row_with_every_field(log: Any, facts: Any) -> None:
    identifier = new_id()
    await record(log, facts, changed(identifier, 1, state=DRIFT_INCIDENT_STATE_OPEN))
    (row,) = await log.rows("SELECT * FROM monitoring_alerts")
    opened = datetime.fromtimestamp(int(time_of(identifier).timestamp()), UTC)
    assert row.pop("recorded_at") is not None
    assert (row.pop("changed_at") - opened).total_seconds() == 60
    assert row == {
        "id": identifier,
        "revision": 1,
        "raised_at": opened,
        "resolved_at": None,
        "tenant": "tenant-1",
        "model": "sentiment",
        "model_version": "1",
        "signal": "input_tokens",
        "state": "open",
        "severity": "critical",
        "details": {"effect": 0.25, "interval": [0.1, 0.4], "p_value": 0.001},
    }


async def test_published_changes_leave_the_latest_and_the_history(
    log: Any, redis: Any, written: Any
) -> None:
    identifier = new_id()
    changes = [changed(identifier, revision) for revision in (1, 2, 3)]
    await EventPublisher(redis).publish(STREAM, changes)
    await written(STREAM, decode_incident)
    (alert,) = await log.rows("SELECT revision, state, resolved_at FROM monitoring_alerts")
    assert (alert["revision"], alert["state"]) == (3, "closed")
    assert alert["resolved_at"] is not None
    history = await log.rows("SELECT revision, state FROM monitoring_alert_changes ORDER BY 1")
    assert [row["state"] for row in history] == ["acknowledged", "silenced", "closed"]


async def test_incident_of_all_tenants_has_none(log: Any, facts: Any) -> None:
    await record(log, facts, changed(new_id(), 1, tenant=""))
    assert await log.rows("SELECT tenant FROM monitoring_alerts") == [{"tenant": None}]


async def test_of_two_tellings_of_a_revision_the_first_stays(log: Any, facts: Any) -> None:
    identifier = new_id()
    first, second = changed(identifier, 5), changed(identifier, 5, severity="other")
    await record(log, facts, first)
    await record(log, facts, second)
    for table in ("monitoring_alerts", "monitoring_alert_changes"):
        assert await log.rows(f"SELECT severity FROM {table}") == [{"severity": "critical"}]


ORDERS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=ORDERS)
async def test_order_and_repetition_of_changes_make_no_difference(
    log: Any, facts: Any, order: list[tuple[int, int, int]]
) -> None:
    """Which incident, which revision, which batch: any number of times in any order."""
    await log.execute("TRUNCATE monitoring_alerts, monitoring_alert_changes")
    incidents = [new_id() for _ in range(3)]
    batches: dict[int, list[DriftIncidentChanged]] = {}
    highest: dict[Any, int] = {}
    for incident, revision, batch in order:
        identifier = incidents[incident]
        batches.setdefault(batch, []).append(changed(identifier, revision))
        highest[identifier] = max(revision, highest.get(identifier, 0))
    # Several consumers at the same time, as replicas are.
    await asyncio.gather(*(record(log, facts, *batch) for batch in batches.values()))
    alerts = await log.rows("SELECT id, revision, state, severity FROM monitoring_alerts")
    assert {row["id"]: row["revision"] for row in alerts} == highest
    for row in alerts:
        expected = changed(row["id"], row["revision"])
        assert row["state"] == STATES[expected.state]
        assert row["severity"] == expected.severity
    kept = await log.rows("SELECT id, revision FROM monitoring_alert_changes")
    assert {(row["id"], row["revision"]) for row in kept} == {
        (incidents[incident], revision) for incident, revision, _ in order
    }
    assert await log.count("dead_letters") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"incident_id": "none"}, "incident_id is no UUIDv7"),
        ({"revision": 0}, "revision is missing"),
        ({"revision": 2**31}, "revision is out of range"),
        ({"state": 0}, "state is unknown"),
        ({"state": 99}, "state is unknown"),
        ({"changed_at": None}, "changed_at is missing"),
        ({"opened_at": Timestamp(seconds=2**60)}, "opened_at is out of range"),
        ({"closed_at": Timestamp(nanos=-1)}, "closed_at is out of range"),
        ({"tenant": "t" * 129}, "tenant is longer than 128 characters"),
        ({"model": ""}, "model is empty"),
        ({"model_version": ""}, "model_version is empty"),
        ({"signal": "a\0b"}, "signal holds a NUL character"),
        ({"severity": ""}, "severity is empty"),
        ({"details": {"a": {"b": ["\0"]}}}, "details hold a NUL character"),
        ({"details": {"\0": 1}}, "details hold a NUL character"),
        ({"details": {"a": "x" * MAX_DETAILS}}, f"details are longer than {MAX_DETAILS} bytes"),
    ],
)
async def test_change_that_cannot_be_a_row_goes_aside(
    log: Any, facts: Any, changes: dict[str, Any], reason: str
) -> None:
    good, bad = changed(new_id(), 1), changed(new_id(), **{"revision": 1} | changes)
    await record(log, facts, bad, good)
    assert await log.rows("SELECT reason FROM dead_letters") == [{"reason": reason}]
    assert await log.rows("SELECT id FROM monitoring_alerts") == await log.rows(
        "SELECT id FROM monitoring_alert_changes"
    )
    assert await log.count("monitoring_alerts") == 1


async def test_details_of_every_kind_are_kept(log: Any, facts: Any) -> None:
    details = {"none": None, "yes": True, "text": "ü", "list": [1, [], {}], "infinite": math.inf}
    await record(log, facts, changed(new_id(), 1, details=details))
    (row,) = await log.rows("SELECT details FROM monitoring_alerts")
    assert row["details"] == details | {"infinite": "inf"}


@pytest.fixture
def url(postgres_server: PostgresStore) -> str:
    """An empty database."""
    return postgres_server.create_database()


async def test_incidents_go_up_and_down_with_what_is_in_the_tables(
    url: str, open_log: Any, facts: Any
) -> None:
    address = database_url(url)
    await upgrade(address, wait=10, revision="0007")
    log = open_log(url)
    await log.execute(
        "INSERT INTO monitoring_alerts SELECT gen_random_uuid(), now(), "
        "CASE WHEN n = 1 THEN now() END, 'm', '1', 'label', 'warning', '{}' "
        "FROM generate_series(1, 2) AS n"
    )
    await upgrade(address, wait=10)
    rows = await log.rows("SELECT state, revision FROM monitoring_alerts ORDER BY state")
    assert rows == [{"state": "closed", "revision": 1}, {"state": "open", "revision": 1}]
    identifier = new_id()
    await record(log, facts, changed(identifier, 3), changed(identifier, 2))
    await downgrade(address, wait=10, revision="0007")
    assert len(await log.rows("SELECT raised_at FROM monitoring_alerts")) == 3
    (latest,) = await log.rows("SELECT severity FROM monitoring_alerts WHERE model <> 'm'")
    assert latest == {"severity": "critical"}
    await upgrade(address, wait=10)
    await record(log, facts, changed(identifier, 4))
    (row,) = await log.rows("SELECT revision FROM monitoring_alerts WHERE model <> 'm'")
    assert row == {"revision": 4}

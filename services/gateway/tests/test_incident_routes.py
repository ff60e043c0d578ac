"""Drift incidents over REST: whose they are, and what is told of them."""

from datetime import UTC, datetime

import pytest

from servicekit.errors import Conflict, FieldViolation, InvalidInput, NotFound
from weir.drift.v1 import drift_pb2
from weir.drift.v1 import incidents_pb2 as pb

from .backends import INCIDENT_ID, PREDICTED_AT, Backends
from .conftest import Call
from .test_predict import refused

PATH = f"/v1/drift/incidents/{INCIDENT_ID}"
MANAGING = ("drift:manage",)


async def test_incident_is_plain_json(get: Call, backends: Backends) -> None:
    backends.incidents.incident = pb.Incident(
        incident_id=INCIDENT_ID,
        revision=3,
        model="sentiment",
        model_version="2",
        group="text",
        signal="input_tokens",
        direction="up",
        state=pb.INCIDENT_STATE_ACKNOWLEDGED,
        opened_at=PREDICTED_AT,
        changed_at=PREDICTED_AT,
        began_at=PREDICTED_AT,
        last_drift_at=PREDICTED_AT,
        severity="critical",
        expected_loss=drift_pb2.Estimate(value=0.07, lower=0.05, upper=0.09),
        action="retrain",
        reasons=["It lasts."],
        signals=[
            pb.IncidentSignal(
                signal="input_tokens",
                direction="up",
                effect=drift_pb2.Estimate(value=0.4, lower=0.3, upper=0.5),
                p_value=0.001,
            )
        ],
        windows_drifted=7,
        reference="validation split",
        acknowledged_at=PREDICTED_AT,
        acknowledged_by="on-call",
    )
    at = "2026-09-21T14:13:20Z"
    assert (await get(PATH, "drift:read")).json() == {
        "incident_id": INCIDENT_ID,
        "revision": 3,
        "tenant": None,
        "model": "sentiment",
        "model_version": "2",
        "group": "text",
        "signal": "input_tokens",
        "direction": "up",
        "state": "acknowledged",
        "opened_at": at,
        "changed_at": at,
        "began_at": at,
        "last_drift_at": at,
        "closed_at": None,
        "severity": "critical",
        "expected_loss": {"value": 0.07, "lower": 0.05, "upper": 0.09},
        "action": "retrain",
        "reasons": ["It lasts."],
        "signals": [
            {
                "signal": "input_tokens",
                "direction": "up",
                "effect": {"value": 0.4, "lower": 0.3, "upper": 0.5},
                "p_value": 0.001,
            }
        ],
        "windows_drifted": 7,
        "windows_clean": 0,
        "reference": "validation split",
        "acknowledged_at": at,
        "acknowledged_by": "on-call",
        "silenced_until": None,
        "silenced_by": None,
    }


async def test_list_asks_for_the_callers_own_tenant(get: Call, backends: Backends) -> None:
    backends.incidents.next_cursor = "more"
    answer = await get(
        "/v1/drift/incidents", model="sentiment", state="silenced", limit="7", cursor="here"
    )
    assert [each["incident_id"] for each in answer.json()["incidents"]] == [INCIDENT_ID]
    assert answer.json()["next_cursor"] == "more"
    (request,) = backends.incidents.calls.requests
    assert request == pb.ListIncidentsRequest(
        tenant="tenant-1",
        model="sentiment",
        state=pb.INCIDENT_STATE_SILENCED,
        limit=7,
        cursor="here",
    )


async def test_acknowledgement_names_who_looks_after_it(
    administer: Call, backends: Backends
) -> None:
    answer = await administer("POST", f"{PATH}/acknowledge")
    assert answer.status_code == 200
    (request,) = backends.incidents.calls.requests
    assert request == pb.AcknowledgeIncidentRequest(
        tenant="tenant-1", client_id="client-1", incident_id=INCIDENT_ID
    )


async def test_silence_has_an_end(administer: Call, backends: Backends) -> None:
    body = {"until": "2026-12-01T07:00:00+01:00"}
    answer = await administer("POST", f"{PATH}/silence", body, scopes=MANAGING)
    assert answer.status_code == 200
    (request,) = backends.incidents.calls.requests
    assert request.until.ToDatetime(UTC) == datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
    assert (request.tenant, request.client_id) == ("tenant-1", "client-1")


@pytest.mark.parametrize(
    "body", [{}, {"until": "2026-12-01T07:00:00"}, {"until": 1}, {"until": ""}]
)
async def test_silence_without_a_clear_end_is_refused(administer: Call, body: object) -> None:
    refused(await administer("POST", f"{PATH}/silence", body), 422, "INVALID_INPUT")


@pytest.mark.parametrize("path", [PATH, "/v1/drift/incidents"])
async def test_reading_takes_its_scope(get: Call, path: str) -> None:
    refused(await get(path, "models:read"), 403, "SCOPE_MISSING")


@pytest.mark.parametrize("what", ["acknowledge", "silence"])
async def test_settling_takes_more_than_reading(administer: Call, what: str) -> None:
    answer = await administer("POST", f"{PATH}/{what}", {}, scopes=("drift:read",))
    refused(answer, 403, "SCOPE_MISSING")


async def test_unknown_incident_is_not_found(get: Call, backends: Backends) -> None:
    backends.incidents.calls.failure = NotFound("There is none.", reason="INCIDENT_NOT_FOUND")
    refused(await get(PATH), 404, "INCIDENT_NOT_FOUND")
    refused(await get("/v1/drift/incidents/%00"), 404, "INCIDENT_NOT_FOUND")
    refused(await get("/v1/drift/incidents/" + "9" * 99), 404, "INCIDENT_NOT_FOUND")


async def test_closed_incident_cannot_be_settled(administer: Call, backends: Backends) -> None:
    backends.incidents.calls.failure = Conflict("It is closed.", reason="INCIDENT_CLOSED")
    refused(await administer("POST", f"{PATH}/acknowledge"), 409, "INCIDENT_CLOSED")


async def test_cursor_that_no_page_gave_is_refused(get: Call, backends: Backends) -> None:
    backends.incidents.calls.failure = InvalidInput(
        "The query cannot be taken.",
        reason="CURSOR_INVALID",
        violations=[FieldViolation("cursor", "is none that a page gave")],
    )
    refused(await get("/v1/drift/incidents", cursor="x"), 422, "CURSOR_INVALID")

"""References of models over REST: what they are, and who changed which is in force."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.assembly import Gateway
from servicekit.errors import Conflict, FieldViolation, InvalidInput, NotFound
from weir.drift.v1 import references_pb2 as pb

from .backends import PREDICTED_AT, REFERENCE_ID, Backends
from .conftest import Call
from .test_predict import refused, wrong_field

PATH = "/v1/drift/models/sentiment/references"
PROMOTION = {
    "version": "2",
    "from": "2026-11-01T00:00:00Z",
    "until": "2026-11-08T00:00:00+01:00",
    "reason": "Customers write from the app now.",
}
ACTIVATION = {"version": "2", "reason": "The app was rolled back."}
MANAGING = ("drift:manage",)


async def test_promoted_reference_is_plain_json(get: Call, backends: Backends) -> None:
    backends.references.reference = pb.KeptReference(
        reference_id=REFERENCE_ID,
        model="sentiment",
        model_version="2",
        source="3 windows",
        rows=3000,
        windows=3,
        first_predicted_at=PREDICTED_AT,
        last_predicted_at=PREDICTED_AT,
        promoted_at=PREDICTED_AT,
        promoted_by="data-science",
        reason="the app",
        accepted_drift=True,
        in_force=True,
        in_force_since=PREDICTED_AT,
        in_force_by="on-call",
        in_force_reason="once more",
    )
    at = "2026-09-21T14:13:20Z"
    assert (await get(PATH, "drift:read", version="2")).json() == {
        "model": "sentiment",
        "model_version": "2",
        "references": [
            {
                "reference_id": REFERENCE_ID,
                "model": "sentiment",
                "model_version": "2",
                "source": "3 windows",
                "rows": 3000,
                "windows": 3,
                "first_predicted_at": at,
                "last_predicted_at": at,
                "promoted_at": at,
                "promoted_by": "data-science",
                "reason": "the app",
                "accepted_drift": True,
                "in_force": True,
                "in_force_since": at,
                "in_force_by": "on-call",
                "in_force_reason": "once more",
            }
        ],
    }
    (request,) = backends.references.calls.requests
    assert request == pb.ListReferencesRequest(model="sentiment", version="2")


async def test_what_the_packages_own_does_not_have_is_null(get: Call, backends: Backends) -> None:
    backends.references.reference = pb.KeptReference(
        reference_id="package", model="sentiment", model_version="2", source="split", rows=9
    )
    (found,) = (await get(PATH)).json()["references"]
    assert {name for name, value in found.items() if value is None} == {
        "windows",
        "first_predicted_at",
        "last_predicted_at",
        "promoted_at",
        "promoted_by",
        "reason",
        "in_force_since",
        "in_force_by",
        "in_force_reason",
    }


async def test_promotion_names_range_reason_and_client(
    administer: Call, backends: Backends
) -> None:
    body = PROMOTION | {"accept_drift": True}
    answer = await administer("POST", PATH, body, scopes=MANAGING)
    assert (answer.status_code, answer.json()["reference_id"]) == (201, REFERENCE_ID)
    (request,) = backends.references.calls.requests
    assert (request.model, request.version, request.client_id) == ("sentiment", "2", "client-1")
    assert getattr(request.range, "from").ToDatetime(UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert request.range.to.ToDatetime(UTC) == datetime(2026, 11, 7, 23, tzinfo=UTC)
    assert (request.reason, request.accept_drift) == (PROMOTION["reason"], True)


async def test_drift_is_not_accepted_unless_somebody_says_so(
    administer: Call, backends: Backends
) -> None:
    await administer("POST", PATH, PROMOTION)
    assert backends.references.calls.requests[0].accept_drift is False
    backends.references.calls.failure = Conflict("Drift.", reason="INCIDENT_IN_RANGE")
    refused(await administer("POST", PATH, PROMOTION), 409, "INCIDENT_IN_RANGE")


@pytest.mark.parametrize("reference_id", ["package", REFERENCE_ID])
async def test_activation_names_reference_reason_and_client(
    administer: Call, backends: Backends, reference_id: str
) -> None:
    answer = await administer(
        "POST", f"{PATH}/{reference_id}/activate", ACTIVATION, scopes=MANAGING
    )
    assert answer.status_code == 200
    (request,) = backends.references.calls.requests
    assert request == pb.ActivateReferenceRequest(
        model="sentiment",
        version="2",
        reference_id=reference_id,
        reason="The app was rolled back.",
        client_id="client-1",
    )


async def test_changes_are_on_the_audit_trail_with_what_they_changed(
    administer: Call, gateway: Gateway, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, str]] = []

    def record(action: str, *, target: str, reason: str, **_: Any) -> None:
        told.append((action, target, reason))

    monkeypatch.setattr(gateway.audit, "record", record)
    await administer("POST", PATH, PROMOTION)
    await administer("POST", f"{PATH}/package/activate", ACTIVATION)
    backends.references.calls.failure = NotFound("Gone.", reason="REFERENCE_UNKNOWN")
    refused(
        await administer("POST", f"{PATH}/package/activate", ACTIVATION), 404, "REFERENCE_UNKNOWN"
    )
    assert told == [
        ("drift.reference.promote", "sentiment/2", ""),
        ("drift.reference.activate", "sentiment/2/package", ""),
        ("drift.reference.activate", "sentiment/2/package", "REFERENCE_UNKNOWN"),
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": ""}, "version"),
        ({"version": None}, "version"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"from": "2026-11-01T00:00:00"}, "from"),
        ({"until": "tomorrow"}, "until"),
        ({"accept_drift": "yes"}, "accept_drift"),
        ({"windows": 3}, "windows"),
    ],
)
async def test_promotion_that_says_too_little_or_too_much_is_refused(
    administer: Call, backends: Backends, change: dict[str, Any], field: str
) -> None:
    wrong_field(await administer("POST", PATH, PROMOTION | change), field)
    assert backends.references.calls.requests == []


async def test_what_drift_refuses_is_told(administer: Call, backends: Backends) -> None:
    backends.references.calls.failure = InvalidInput(
        "Too short.",
        reason="REFERENCE_TOO_SMALL",
        violations=[FieldViolation("from", "holds 20 predictions; 30 are needed")],
    )
    answer = refused(await administer("POST", PATH, PROMOTION), 422, "REFERENCE_TOO_SMALL")
    assert answer["errors"][0]["field"] == "from"


async def test_reading_and_changing_take_their_scopes(get: Call, administer: Call) -> None:
    refused(await get(PATH, "models:read"), 403, "SCOPE_MISSING")
    for path, body in ((PATH, PROMOTION), (f"{PATH}/package/activate", ACTIVATION)):
        answer = await administer("POST", path, body, scopes=("drift:read",))
        refused(answer, 403, "SCOPE_MISSING")


async def test_names_that_can_be_none_are_not_found(get: Call, administer: Call) -> None:
    refused(await get("/v1/drift/models/%00/references"), 404, "MODEL_NOT_FOUND")
    for reference_id in ("%00", "9" * 99):
        answer = await administer("POST", f"{PATH}/{reference_id}/activate", ACTIVATION)
        refused(answer, 404, "REFERENCE_UNKNOWN")

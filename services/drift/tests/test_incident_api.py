"""Incidents over gRPC: who sees which, and what may be said about them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider

from drift.domain import Estimate, ModelVersion, Population
from drift.incident_advice import Severity
from drift.incident_desk import IncidentDesk
from drift.incident_grpc_api import SCOPES, SERVICE, IncidentServicer
from drift.incidents import Direction, DriftedSignal, Incident, IncidentBook
from drift.recommendation import Action
from drift.state_store import StateStore
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from servicekit.grpc_client import open_channel
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.drift.v1 import incidents_pb2 as pb
from weir.drift.v1 import incidents_pb2_grpc
from weir.events.v1 import events_pb2

REVIEWS = ModelVersion("reviews", "1")
OTHER = ModelVersion("topics", "1")
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TENANT = "tenant-1"
"""Of the issuer's tokens."""
Call = Callable[..., Awaitable[Any]]


def incident(**changes: Any) -> Incident:
    made = Incident(
        id=new_id(),
        revision=1,
        tenant="",
        group="text",
        signal="input_tokens",
        direction=Direction.UP,
        opened_at=START,
        changed_at=START,
        began_at=START - timedelta(hours=1),
        last_drift_at=START,
        signals=(DriftedSignal("input_tokens", Direction.UP, Estimate(0.4, 0.3, 0.5), 0.001),),
        severity=Severity.CRITICAL,
        action=Action.RETRAIN,
        reasons=("It lasts.",),
        loss=Estimate(0.07, 0.05, 0.09),
        reference="test split",
    )
    return replace(made, **changes)


async def put(store: StateStore, about: ModelVersion, *incidents: Incident) -> None:
    async with store.transaction() as transaction:
        versions = await transaction.versions()
        versions[about] = "1-0"
        await transaction.store("s", "1-0", versions, {}, [])
    async with store.transaction() as transaction:
        book = IncidentBook()
        for each in incidents:
            book = book.with_incident(each)
        await transaction.store_incidents(Population(about), book, ())


@pytest_asyncio.fixture
async def call(service: Any, tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Call]:
    """Calls a method; the error comes as the service raised it."""
    address = f"unix:{tmp_path}/grpc.sock"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=SCOPES,
        tracer_provider=tracer_provider,
    )
    desk = IncidentDesk(service.store, incidents_stream="weir:incidents", clock=lambda: START)
    incidents_pb2_grpc.add_IncidentServiceServicer_to_server(IncidentServicer(desk), server.grpc)
    server.expose(SERVICE)

    async def ask(method: str, token: str = "", **fields: Any) -> Any:
        async def source() -> str:
            return token or issuer.token("drift:read", "drift:manage")

        channel = open_channel(
            address, token=source, default_timeout=60.0, tracer_provider=tracer_provider
        )
        async with channel:
            stub: Any = incidents_pb2_grpc.IncidentServiceStub(channel)
            request = getattr(pb, f"{method}Request")(**fields)
            try:
                return await getattr(stub, method)(request)
            except AioRpcError as error:
                raise from_rpc_error(error, "drift") from error

    async with server:
        yield ask


async def test_incident_says_what_drifted_how_bad_that_is_and_what_to_do(
    call: Call, service: Any
) -> None:
    known = incident()
    await put(service.store, REVIEWS, known)
    found = (await call("GetIncident", incident_id=str(known.id))).incident
    assert (found.model, found.model_version, found.group) == ("reviews", "1", "text")
    assert (found.signal, found.direction) == ("input_tokens", "up")
    assert found.state == pb.INCIDENT_STATE_OPEN
    assert (found.severity, found.action, list(found.reasons)) == (
        "critical",
        "retrain",
        ["It lasts."],
    )
    assert (found.expected_loss.lower, found.expected_loss.upper) == (0.05, 0.09)
    assert found.signals[0].effect.value == 0.4
    assert found.began_at.ToDatetime(UTC) == START - timedelta(hours=1)
    assert not found.HasField("closed_at")


async def test_pages_are_newest_first_and_each_incident_comes_once(
    call: Call, service: Any
) -> None:
    made = [incident() for _ in range(7)]
    await put(service.store, REVIEWS, *made[::2])
    await put(service.store, OTHER, *made[1::2])
    seen, cursor = [], ""
    while True:
        page = await call("ListIncidents", limit=3, cursor=cursor)
        seen += [each.incident_id for each in page.incidents]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [str(each.id) for each in reversed(made)]


async def test_list_is_narrowed_by_model_and_state(call: Call, service: Any) -> None:
    closed = incident(closed_at=START)
    silenced = incident(silenced_until=START + timedelta(hours=1))
    was_silenced = incident(silenced_until=START - timedelta(hours=1), acknowledged_at=START)
    await put(service.store, REVIEWS, incident(), closed, silenced, was_silenced)
    await put(service.store, OTHER, incident())
    assert len((await call("ListIncidents", model="topics")).incidents) == 1
    for state, expected in (
        (pb.INCIDENT_STATE_CLOSED, closed),
        (pb.INCIDENT_STATE_SILENCED, silenced),
        (pb.INCIDENT_STATE_ACKNOWLEDGED, was_silenced),
    ):
        (found,) = (await call("ListIncidents", state=state)).incidents
        assert found.incident_id == str(expected.id)


async def test_other_tenants_incident_is_not_there(
    call: Call, service: Any, issuer: FakeIssuer
) -> None:
    theirs, ours = incident(tenant="another"), incident(tenant=TENANT)
    await put(service.store, REVIEWS, theirs, ours)
    (found,) = (await call("ListIncidents")).incidents
    assert (found.incident_id, found.tenant) == (str(ours.id), TENANT)
    until = Timestamp(seconds=2_000_000_000)
    for method, fields in (
        ("GetIncident", {}),
        ("AcknowledgeIncident", {}),
        ("SilenceIncident", {"until": until}),
    ):
        with pytest.raises(NotFound):
            await call(method, incident_id=str(theirs.id), **fields)
        with pytest.raises(PermissionDenied):
            await call(method, tenant="another", incident_id=str(theirs.id), **fields)
    gateway = issuer.token("drift:read", "delegate", client_id="weir-gateway")
    found = await call("GetIncident", gateway, tenant="another", incident_id=str(theirs.id))
    assert found.incident.tenant == "another"


async def test_acknowledgement_is_kept_and_told_once(call: Call, service: Any) -> None:
    known = incident()
    await put(service.store, REVIEWS, known)
    for _ in range(2):
        answer = await call("AcknowledgeIncident", incident_id=str(known.id))
        assert answer.incident.state == pb.INCIDENT_STATE_ACKNOWLEDGED
        assert answer.incident.acknowledged_by == "client-1"
    (told,) = await service.incidents()
    assert told.change == events_pb2.DRIFT_INCIDENT_CHANGE_ACKNOWLEDGED
    assert (told.incident_id, told.revision) == (str(known.id), 2)
    assert told.details["acknowledged_by"] == "client-1"


async def test_silence_lasts_until_its_end(call: Call, service: Any) -> None:
    known = incident()
    await put(service.store, REVIEWS, known)
    for until, state in (
        (START + timedelta(hours=1), pb.INCIDENT_STATE_SILENCED),
        (START - timedelta(hours=1), pb.INCIDENT_STATE_OPEN),
    ):
        end = Timestamp()
        end.FromDatetime(until)
        answer = await call("SilenceIncident", incident_id=str(known.id), until=end)
        assert answer.incident.state == state
    assert [told.revision for told in await service.incidents()] == [2, 3]


async def test_closed_incident_cannot_be_settled(call: Call, service: Any) -> None:
    known = incident(closed_at=START)
    await put(service.store, REVIEWS, known)
    with pytest.raises(Conflict):
        await call("AcknowledgeIncident", incident_id=str(known.id))
    assert await service.incidents() == []


async def test_nonsense_is_refused(call: Call, issuer: FakeIssuer) -> None:
    with pytest.raises(InvalidInput):
        await call("ListIncidents", cursor="none of ours")
    with pytest.raises(InvalidInput):
        await call("SilenceIncident", incident_id="x")
    with pytest.raises(NotFound):
        await call("GetIncident", incident_id="x")
    with pytest.raises(PermissionDenied):
        await call("AcknowledgeIncident", issuer.token("drift:read"), incident_id="x")

"""References that are promoted and taken back, over gRPC and a real Redis."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from drift.domain import ModelVersion, Population
from drift.reference_shelf import KEPT_PROMOTED, references_key
from servicekit.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2, drift_pb2_grpc
from weir.events.v1 import events_pb2

from .references import Call, calling
from .serving import NOW, serving
from .test_report_history import times

REVIEWS = ModelVersion("reviews", "1")
TOGETHER = Population(REVIEWS)
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
WriteReference = Callable[..., Path]
WHY = {"version": "1", "reason": "the new tokenizer is here to stay"}
LONGER = {"extra_tokens": 10}


@pytest_asyncio.fixture
async def call(service: Any, tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Call]:
    async with calling(service, tmp_path, issuer) as asked:
        yield asked


async def report(stub: Any, **fields: Any) -> drift_pb2.Report:
    found: drift_pb2.Report = (
        await stub.GetReport(drift_pb2.GetReportRequest(model="reviews", **fields))
    ).report
    return found


def state(of: drift_pb2.Report, signal: str = "input_tokens") -> Any:
    return {verdict.signal: verdict.state for verdict in of.verdicts}[signal]


async def publish(service: Any, world: Any, rows: int, **shift: Any) -> None:
    await service.publish(*world.events(rows, **shift))
    await service.consume()


async def test_promoted_window_is_what_is_usual_until_the_package_is_again(
    call: Call, stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 350, **LONGER)
    before = await report(stub)
    assert state(before) == drift_pb2.VERDICT_STATE_DRIFT
    assert before.reference.reference_id == "package"

    made = (await call("PromoteReference", **WHY, range=times(0, 301), accept_drift=True)).reference
    assert (made.windows, made.rows, made.in_force, made.accepted_drift) == (3, 300, True, True)
    assert (made.promoted_by, made.reason) == ("client-1", WHY["reason"])
    assert made.first_predicted_at.ToDatetime(UTC) == START + timedelta(seconds=1)
    assert made.last_predicted_at.ToDatetime(UTC) == START + timedelta(seconds=300)
    assert made.promoted_at.ToDatetime(UTC) == NOW
    now = await report(stub)
    assert state(now) == drift_pb2.VERDICT_STATE_NO_DRIFT
    assert now.reference.reference_id == made.reference_id
    assert (now.reference.rows, now.window) == (300, before.window)

    again = (
        await call("ActivateReference", **WHY | {"reason": "a mistake"}, reference_id="package")
    ).reference
    assert (again.reference_id, again.in_force_reason) == ("package", "a mistake")
    assert state(await report(stub)) == drift_pb2.VERDICT_STATE_DRIFT
    assert (await report(stub)).reference.reference_id == "package"
    back = await call("ActivateReference", **WHY, reference_id=made.reference_id)
    assert back.reference.in_force
    assert state(await report(stub)) == drift_pb2.VERDICT_STATE_NO_DRIFT


async def test_windows_and_detectors_are_judged_by_the_reference_in_force(
    call: Call, stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 300, **LONGER)
    made = await call("PromoteReference", **WHY, range=times(0, 301), accept_drift=True)
    await publish(service, world, 100, **LONGER)
    reports = await stub.ListReports(drift_pb2.ListReportsRequest(model="reviews"))
    newest, *earlier = reports.reports
    assert (newest.reference_id, list(newest.drifted)) == (made.reference.reference_id, [])
    assert {each.reference_id for each in earlier} == {"package"}
    assert {tuple(each.drifted) for each in earlier} == {("input_tokens",)}
    plan = drift_pb2.GetPowerRequest(model="reviews", rows=100, effect=0.2)
    assert (await stub.GetPower(plan)).reference_id == made.reference.reference_id


async def test_drift_from_another_reference_is_no_onset(
    call: Call, stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 100)
    await publish(service, world, 300, **LONGER)
    await call("PromoteReference", **WHY, range=times(0, 101), accept_drift=True)
    drifted = [each for each in (await report(stub)).verdicts if each.signal == "input_tokens"]
    assert [each.windows for each in drifted] == [1]


async def test_incidents_and_their_memory_begin_anew(
    call: Call, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 300, **LONGER)
    (opened,) = await service.incidents()
    made = (await call("PromoteReference", **WHY, range=times(0, 301), accept_drift=True)).reference
    closed = (await service.incidents())[-1]
    assert closed.incident_id == opened.incident_id
    assert closed.change == events_pb2.DRIFT_INCIDENT_CHANGE_CLOSED
    assert made.reference_id in closed.details["reasons"][-1]
    book = (await service.store.incidents([TOGETHER]))[TOGETHER]
    assert (book.opened(), dict(book.seen)) == ([], {})
    await publish(service, world, 300)
    (new,) = (await service.store.incidents([TOGETHER]))[TOGETHER].opened()
    # What was usual before is what drifts now.
    assert (new.direction.value, new.windows) == ("down", 3)
    assert made.reference_id in new.reference


async def test_incidents_of_single_tenants_begin_anew_too(
    call: Call, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    for _ in range(8):
        await publish(service, world, 50, tenant="acme", **LONGER)
        await publish(service, world, 50, tenant="other", **LONGER)
    acme = Population(REVIEWS, "acme")
    assert len((await service.store.incidents([acme]))[acme].opened()) == 1
    await call("PromoteReference", **WHY, range=times(0, 301), accept_drift=True)
    book = (await service.store.incidents([acme]))[acme]
    assert (book.opened(), dict(book.seen)) == ([], {})
    closed = [each.tenant for each in (await service.incidents())[-3:]]
    assert sorted(closed) == ["", "acme", "other"]


async def test_range_with_an_incident_is_refused_until_its_drift_is_accepted(
    call: Call, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 200)
    await publish(service, world, 300, **LONGER)
    with pytest.raises(Conflict) as refusal:
        await call("PromoteReference", **WHY, range=times(0, 501))
    assert refusal.value.code == "INCIDENT_IN_RANGE"
    assert "input_tokens (text)" in refusal.value.message
    assert len(await service.incidents()) == 1
    quiet = await call("PromoteReference", **WHY, range=times(0, 200))
    assert (quiet.reference.rows, quiet.reference.accepted_drift) == (200, False)


async def test_every_replica_and_every_restart_follows(
    call: Call,
    service: Any,
    world: Any,
    write_reference: WriteReference,
    tmp_path: Path,
    issuer: FakeIssuer,
) -> None:
    write_reference()
    other = service.again()
    await publish(service, world, 300, **LONGER)
    await publish(other, world, 50, **LONGER)
    made = await call("PromoteReference", **WHY, range=times(0, 301), accept_drift=True)
    (tmp_path / "other").mkdir()
    for replica in (other, service.again()):
        found = await replica.references.find(REVIEWS)
        assert found.reference_id == made.reference.reference_id
        assert await replica.references.find(REVIEWS) is found
        await publish(replica, world, 100, **LONGER)
        measured = (await service.measurements())[-1]
        drift = {m.signal: m.value for m in measured.metrics if m.statistic == "drift"}
        assert drift["input_tokens"] == 0.0
    async with serving(other, tmp_path / "other", issuer) as channel, channel() as opened:
        assert state(await report(drift_pb2_grpc.DriftServiceStub(opened))) == (
            drift_pb2.VERDICT_STATE_NO_DRIFT
        )


async def test_list_has_the_newest_promoted_and_the_packages_own(
    call: Call, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 200)
    (package,) = (await call("ListReferences")).references
    assert (package.reference_id, package.rows, package.in_force) == ("package", 2000, True)
    assert (package.source, package.windows) == ("made-up, test split", 0)
    assert not package.HasField("promoted_at")
    ids = []
    for number in range(KEPT_PROMOTED + 2):
        made = await call(
            "PromoteReference", version="1", reason=f"number {number}", range=times(0, 101)
        )
        ids.append(made.reference.reference_id)
    answer = await call("ListReferences", version="1")
    listed = [each.reference_id for each in answer.references]
    assert listed == [*reversed(ids[2:]), "package"]
    assert [each.in_force for each in answer.references] == [True] + [False] * KEPT_PROMOTED
    stored = {key.decode() for key in await service.redis.hkeys(references_key(REVIEWS))}
    assert stored == set(ids[2:])
    with pytest.raises(NotFound) as gone:
        await call("ActivateReference", **WHY, reference_id=ids[0])
    assert gone.value.code == "REFERENCE_UNKNOWN"


async def test_putting_in_force_what_is_changes_nothing(
    call: Call, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world, 300, **LONGER)
    answer = await call("ActivateReference", **WHY, reference_id="package")
    assert answer.reference.in_force
    assert not answer.reference.HasField("in_force_since")
    assert len((await service.store.incidents([TOGETHER]))[TOGETHER].opened()) == 1


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"range": times(5000, 6000)}, "NO_CLOSED_WINDOWS", "kept are 1, of 2026-11-02 09:00:01"),
        # The window that is open is none that is closed.
        ({"range": times(101, 900)}, "NO_CLOSED_WINDOWS", "2026-11-02 09:00:01"),
        ({"range": times(10, 10)}, "TIME_RANGE_INVALID", "not after"),
        ({"range": drift_pb2.TimeRange()}, "TIME_RANGE_INVALID", "not after"),
        ({"range": times(0, 101), "reason": ""}, "REASON_INVALID", "500"),
        ({"range": times(0, 101), "reason": "x" * 501}, "REASON_INVALID", "500"),
        ({"range": times(0, 101), "version": ""}, "MODEL_NAME_INVALID", "missing"),
    ],
)
async def test_what_cannot_be_promoted_is_refused(
    call: Call, service: Any, world: Any, fields: dict[str, Any], code: str, says: str
) -> None:
    await publish(service, world, 150)
    with pytest.raises(InvalidInput) as refusal:
        await call("PromoteReference", **WHY | fields)
    assert refusal.value.code == code
    assert says in refusal.value.violations[0].description


async def test_too_few_rows_are_told(call: Call, service: Any, world: Any) -> None:
    small = type(service)(service.redis, service.repository, window_rows=20)
    await publish(small, world, 30)
    with pytest.raises(InvalidInput) as refusal:
        await call("PromoteReference", **WHY, range=times(0, 900))
    assert refusal.value.code == "REFERENCE_TOO_SMALL"
    assert refusal.value.violations[0].description == "holds 20 predictions; 30 are needed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "nobody"}, "MODEL_UNKNOWN"),
        ({"version": "9"}, "MODEL_UNKNOWN"),
        ({"reference_id": str(UUID(int=1))}, "REFERENCE_UNKNOWN"),
        # There is no package here.
        ({"reference_id": "package"}, "REFERENCE_UNKNOWN"),
    ],
)
async def test_what_is_not_there_is_not_found(
    call: Call, service: Any, world: Any, fields: dict[str, str], code: str
) -> None:
    await publish(service, world, 150)
    with pytest.raises(NotFound) as refusal:
        await call("ActivateReference", **WHY | {"reference_id": "x"} | fields)
    assert refusal.value.code == code


async def test_model_without_a_package_gets_a_reference(
    call: Call, stub: Any, service: Any, world: Any
) -> None:
    await publish(service, world, 250)
    assert list((await call("ListReferences")).references) == []
    await call("PromoteReference", **WHY, range=times(0, 201))
    assert state(await report(stub)) == drift_pb2.VERDICT_STATE_NO_DRIFT


async def test_changes_take_their_scope(call: Call, issuer: FakeIssuer) -> None:
    reader, nobody = issuer.token("drift:read"), issuer.token("models:read")
    for method, token in (
        ("PromoteReference", reader),
        ("ActivateReference", reader),
        ("ListReferences", nobody),
    ):
        with pytest.raises(PermissionDenied):
            await call(method, token)

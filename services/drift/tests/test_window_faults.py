"""A window that cannot be judged is set aside; the stream, and all windows after it, go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

import drift.decision
import drift.observer
from drift.domain import ModelVersion, Population, StateUnavailable
from drift.history_store import HistoryStore
from drift.observer import Observer
from drift.references_in_force import ReferencesInForce
from drift.version_state import WindowSize
from drift.window_history import read_summary
from servicekit.errors import Conflict
from servicekit.stream_groups import trim_consumed
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2

from .references import calling
from .test_report_history import refused, summaries, times

REVIEWS = ModelVersion("reviews", "1")
PREDICTIONS = "weir:predictions:0"
GROUP = "drift"
POISON = {"letters": {"poison": 40}}
"""A script whose test fails."""
WRITTEN = "what somebody wrote"
WriteReference = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = drift.decision.category_finding

    def fail(ours: Any, *others: Any) -> Any:
        if "poison" in ours:
            raise ValueError(WRITTEN)
        return real(ours, *others)

    monkeypatch.setattr(drift.decision, "category_finding", fail)


async def publish(service: Any, events: list[Any]) -> None:
    await service.publish(*events)
    await service.consume()


def counted(about: ModelVersion, outcome: str, of: str = "windows") -> float:
    labels = {"model": about.model, "model_version": about.version, "outcome": outcome}
    return REGISTRY.get_sample_value(f"weir_drift_{of}_total", labels) or 0.0


async def test_the_windows_after_it_are_judged_and_nothing_waits(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    before = counted(REVIEWS, "set_aside")
    events = [*world.events(100), *world.events(100, **POISON), *world.events(130)]
    with structlog.testing.capture_logs() as logs:
        await publish(service, events)
    first, second = await service.measurements()
    assert second.window_start.ToDatetime() > first.window_end.ToDatetime()
    assert await service.rows() == 30
    assert (await service.redis.xpending(PREDICTIONS, GROUP))["pending"] == 0
    assert await trim_consumed(service.redis, PREDICTIONS, GROUP) == 330
    assert counted(REVIEWS, "set_aside") - before == 1
    (told,) = (each for each in logs if each["event"] == "window_set_aside")
    assert (told["error"], told["log_level"]) == ("ValueError", "error")
    assert told["place"].startswith("decision.py:")
    assert WRITTEN not in str(logs)


async def test_the_tenants_own_window_is_set_aside_like_the_one_of_all(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    others = world.events(40, tenant="other")
    await publish(service, [*world.events(60, tenant="acme"), *others])
    before = counted(REVIEWS, "set_aside", "tenant_windows")
    await publish(service, world.events(100, tenant="acme", **POISON))
    assert counted(REVIEWS, "set_aside", "tenant_windows") - before == 1
    (kept, *_) = await HistoryStore(service.redis).summaries(Population(REVIEWS, "acme"))
    assert kept.fault == "ValueError"


async def test_the_list_says_so_and_a_report_on_it_is_refused(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, [*world.events(100), *world.events(100, **POISON)])
    newest, oldest = await summaries(stub)
    assert (newest.fault, newest.judged, newest.rows) == ("ValueError", False, 100)
    assert (oldest.fault, oldest.judged) == ("", True)
    for report_id in (newest.report_id, ""):
        request = drift_pb2.GetReportRequest(model="reviews", report_id=report_id)
        error = await refused(stub.GetReport(request))
        assert (error.code, WRITTEN in error.message) == ("WINDOW_NOT_JUDGED", False)
    compared = drift_pb2.CompareRangesRequest(
        model="reviews", reference=times(0, 101), window=times(101, 202)
    )
    assert (await refused(stub.CompareRanges(compared))).code == "WINDOW_NOT_JUDGED"
    await publish(service, world.events(40))
    assert (await stub.GetReport(drift_pb2.GetReportRequest(model="reviews"))).report.window.rows


async def test_a_restart_goes_on_after_it(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(service, world.events(150, **POISON))
    again = service.again()
    await publish(again, [*world.events(50, **POISON), *world.events(100)])
    assert len(await again.measurements()) == 1
    found = await HistoryStore(again.redis).summaries(Population(REVIEWS))
    assert [each.fault for each in found] == ["", "ValueError", "ValueError"]


async def test_it_becomes_no_reference(
    service: Any,
    world: Any,
    write_reference: WriteReference,
    tmp_path: Path,
    issuer: FakeIssuer,
) -> None:
    write_reference()
    await publish(service, [*world.events(100), *world.events(100, **POISON)])
    why = {"version": "1", "reason": "the new tokenizer is here to stay"}
    async with calling(service, tmp_path, issuer) as call:
        with pytest.raises(Conflict) as refusal:
            await call("PromoteReference", **why, range=times(0, 301), accept_drift=True)
        assert refusal.value.code == "WINDOW_SET_ASIDE"
        without = await call("PromoteReference", **why, range=times(0, 100))
    assert without.reference.rows == 100


async def test_a_store_that_is_away_is_no_fault_of_the_window(
    service: Any, world: Any, write_reference: WriteReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference()
    await service.publish(*world.events(120))

    async def away(*_: object) -> None:
        raise StateUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(ReferencesInForce, "find", away)
        with pytest.raises(StateUnavailable):
            await service.consume()
    assert await service.rows() == 0
    await service.again().consume()
    assert len(await service.measurements()) == 1


async def test_gauges_of_other_versions_are_kept_up(
    service: Any, world: Any, write_reference: WriteReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference()
    healthy = ModelVersion("healthy", "1")
    write_reference(healthy)
    real = drift.observer.compare

    def fail(reference: Any, window: Any, minimum_rows: int) -> Any:
        if window.rows == 60:
            raise ValueError(WRITTEN)
        return real(reference, window, minimum_rows)

    monkeypatch.setattr(drift.observer, "compare", fail)
    await publish(service, [*world.events(60), *world.events(50, healthy)])
    observer = Observer(
        service.store,
        service.references,
        streams=[PREDICTIONS],
        minimum_rows=30,
        window_size=WindowSize(100),
        clock=lambda: 0.0,
    )
    await observer.observe()
    rows = {
        about.model: REGISTRY.get_sample_value(
            "weir_drift_window_rows", {"model": about.model, "model_version": about.version}
        )
        for about in (REVIEWS, healthy)
    }
    assert rows == {"reviews": 60, "healthy": 50}


def test_summaries_of_an_earlier_version_have_no_fault() -> None:
    at = "2026-11-02T09:00:00+00:00"
    stored = {"first": at, "last": at, "rows": 1, "drifted": [], "judged": True}
    assert read_summary("a", json.dumps(stored).encode()).fault == ""

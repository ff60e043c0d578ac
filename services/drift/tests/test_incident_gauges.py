"""What Prometheus sees of incidents and windows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from drift.domain import ModelVersion
from drift.incident_desk import IncidentDesk
from drift.incident_gauges import IncidentGauges

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
WriteReference = Callable[..., Path]


def open_incidents(model: str) -> dict[str, float]:
    """By group, whatever the severity."""
    return {
        sample.labels["signal_group"]: sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "weir_drift_incidents_open" and sample.labels["model"] == model
    }


def windows(model: str, outcome: str) -> float:
    labels = {"model": model, "model_version": "1", "outcome": outcome}
    return REGISTRY.get_sample_value("weir_drift_windows_total", labels) or 0.0


async def test_open_incidents_are_shown_until_they_are_silenced_or_closed(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    about = ModelVersion("shown", "1")
    write_reference(about)
    gauges = IncidentGauges(service.store, clock=lambda: START)
    await service.publish(*world.events(300, about, extra_tokens=10))
    await service.consume()
    await gauges.observe()
    assert open_incidents("shown") == {"text": 1.0}
    desk = IncidentDesk(service.store, incidents_stream="weir:incidents", clock=lambda: START)
    ((shown,), _) = await desk.page("", model="shown", state=None, limit=0, cursor="")
    until = START + timedelta(hours=1)
    await desk.silence("", str(shown.incident.id), "on-call", until)
    await gauges.observe()
    assert open_incidents("shown") == {}
    await desk.silence("", str(shown.incident.id), "on-call", START)
    await gauges.observe()
    assert open_incidents("shown") == {"text": 1.0}
    await service.publish(*world.events(300, about))
    await service.consume()
    await gauges.observe()
    assert open_incidents("shown") == {}


async def test_windows_are_counted_by_what_was_found(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    about, other = ModelVersion("counted", "1"), ModelVersion("without", "1")
    write_reference(about)
    await service.publish(*world.events(200, about), *world.events(300, about, extra_tokens=10))
    await service.publish(*world.events(100, other))
    await service.consume()
    assert windows("counted", "no_drift") == 2
    assert windows("counted", "drift") == 3
    assert windows("without", "not_judged") == 1

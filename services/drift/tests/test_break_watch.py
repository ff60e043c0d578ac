"""Sudden breaks: dated to when they most likely were, one incident for each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drift.break_watch import FEEDBACK_ERROR, BreakWatch
from drift.change_detector import ChangeDetector, ControlLimit, Direction
from drift.domain import Estimate
from drift.incident_codec import decode_standings, encode_standings
from drift.signals import CONFIDENCE, KnownAccuracy, SignalReference
from drift.state_codec import StateUnreadable
from weir.events.v1 import events_pb2 as pb

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
RUN_LENGTH = 20_000
WriteReference = Callable[..., Path]


def seconds(first: int, count: int) -> list[datetime]:
    return [START + timedelta(seconds=first + place) for place in range(count)]


@pytest.fixture
def reference(world: Any) -> SignalReference:
    known = KnownAccuracy(2000, Estimate(0.9, 0.89, 0.91), ())
    about = world.prediction().about
    return SignalReference(about, "made up", world.observed(2000), known)


def confidences(rng: np.random.Generator, rows: int, shift: float = 0.0) -> list[float]:
    return (rng.beta(8, 1, rows) / 2 + 0.5 - shift).tolist()


def test_break_is_found_soon_and_dated_to_when_it_was(reference: SignalReference) -> None:
    watch = BreakWatch(RUN_LENGTH)
    limits = watch.limits(reference)
    rng = np.random.default_rng(3)
    standings, none = watch.look(
        limits, {}, CONFIDENCE.name, confidences(rng, 400), seconds(0, 400)
    )
    assert none == []
    values, first = confidences(rng, 100, shift=0.1), None
    # In small batches, and stored between them.
    for begin in range(0, 100, 7):
        part = values[begin : begin + 7]
        at = seconds(400 + begin, len(part))
        standings, found = watch.look(limits, standings, CONFIDENCE.name, part, at)
        standings = decode_standings(encode_standings(standings))
        first = first or next(iter(found), None)
    assert first is not None
    assert first.direction is Direction.DOWN
    assert abs((first.began_at - START).total_seconds() - 400) < 15
    assert first.found_at <= START + timedelta(seconds=500)


def test_batches_make_no_difference(reference: SignalReference) -> None:
    watch = BreakWatch(RUN_LENGTH)
    limits = watch.limits(reference)
    rng = np.random.default_rng(5)
    values = confidences(rng, 300) + confidences(rng, 200, shift=0.08)
    whole = watch.look(limits, {}, CONFIDENCE.name, values, seconds(0, 500))
    standings, found = {}, []
    for begin in range(0, 500, 37):
        part = values[begin : begin + 37]
        standings, more = watch.look(
            limits, standings, CONFIDENCE.name, part, seconds(begin, len(part))
        )
        found += more
    assert (standings, found) == whole
    assert found


def test_wrong_answers_that_become_many_are_a_break(reference: SignalReference) -> None:
    watch = BreakWatch(RUN_LENGTH)
    rng = np.random.default_rng(6)
    values = (rng.random(500) < 0.1).tolist() + (rng.random(100) < 0.5).tolist()
    _, found = watch.look(
        watch.limits(reference), {}, FEEDBACK_ERROR, list(map(float, values)), seconds(0, 600)
    )
    assert found[0].direction is Direction.UP
    assert abs((found[0].began_at - START).total_seconds() - 500) < 30


def test_values_that_are_none_and_signals_without_a_limit_are_left_out(
    reference: SignalReference,
) -> None:
    watch = BreakWatch(RUN_LENGTH)
    nothing = [float("nan"), float("inf")]
    assert watch.look(watch.limits(reference), {}, CONFIDENCE.name, nothing, seconds(0, 2)) == (
        {},
        [],
    )
    assert watch.look({}, {}, CONFIDENCE.name, [0.9], seconds(0, 1)) == ({}, [])
    assert BreakWatch(0).limits(reference) == {}


def test_long_run_lengths_follow_from_a_short_one() -> None:
    values, weights = np.random.default_rng(1).standard_normal(4000), np.ones(4000)
    short = ControlLimit.calibrated(values, weights, 20_000)
    longer = ControlLimit.calibrated(values, weights, 10_000_000)
    # For normal rows theta is twice the allowance: 0.5.
    assert longer.limit - short.limit == pytest.approx(np.log(500) / 0.5, rel=0.05)
    # What holds at a length that can be simulated is what the formula says of it.
    shorter = ControlLimit.calibrated(values, weights, 2000)
    assert short.limit - shorter.limit == pytest.approx(np.log(10) / 0.5, rel=0.15)
    assert ChangeDetector(longer).update(np.full(200, 2.0))


def test_standings_that_cannot_be_read_are_told_as_such() -> None:
    for stored in (b"", b"[]", b'{"format": 9}', b'{"format": 1, "standings": 3}'):
        with pytest.raises(StateUnreadable):
            decode_standings(stored)


async def test_break_is_an_incident_at_once_and_over_after_three_calm_windows(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    service.monitor._breaks = BreakWatch(RUN_LENGTH)
    await service.publish(*world.events(60))
    await service.publish(*world.events(30, confidence=0.52))
    await service.consume()
    (opened,) = [each for each in await service.incidents() if each.signal == "sudden break"]
    assert opened.change == pb.DRIFT_INCIDENT_CHANGE_OPENED
    assert (opened.details["signal"], opened.details["direction"]) == ("confidence", "down")
    began = datetime.fromisoformat(opened.details["began_at"])
    assert abs((began - START).total_seconds() - 60) < 10
    await service.publish(*world.events(500))
    await service.consume()
    *_, closed = [each for each in await service.incidents() if each.signal == "sudden break"]
    assert closed.change == pb.DRIFT_INCIDENT_CHANGE_CLOSED
    assert closed.incident_id == opened.incident_id

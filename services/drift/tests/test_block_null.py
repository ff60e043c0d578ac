"""Rows that depend on each other are judged by stretches of the reference."""

import numpy as np

from drift.block_null import BlockNulls
from drift.decision import Decider
from drift.domain import ModelVersion
from drift.number_distribution import NumberDistribution
from drift.signals import (
    LABEL,
    CategoryColumn,
    RatioColumn,
    SignalReference,
    SignalWindow,
    feature,
    missing_rate,
)
from drift.verdict import State

AIR = ModelVersion("air", "1")
OZONE, DUST = feature("ozone"), feature("dust")
HOURS = 24


def days(rng: np.random.Generator, count: int) -> list[SignalWindow]:
    """Hourly rows whose level wanders from day to day."""
    level = np.zeros(2)
    made = []
    for _ in range(count):
        level = 0.7 * level + rng.standard_normal(2)
        values = level + rng.standard_normal((HOURS, 2)) / 2
        day = SignalWindow()
        day.update(
            HOURS,
            {
                OZONE: values[:, 0],
                DUST: values[:, 1],
                missing_rate("dust"): RatioColumn(
                    (rng.random(HOURS) < 0.1).astype(float), np.ones(HOURS)
                ),
                LABEL: CategoryColumn(np.where(values[:, 0] > 1, "high", "low").tolist()),
            },
        )
        made.append(day)
    return made


def joined(parts: list[SignalWindow]) -> SignalWindow:
    whole = SignalWindow()
    for part in parts:
        whole.merge(part)
    return whole


def by_blocks(rng: np.random.Generator, count: int) -> SignalReference:
    blocks = days(rng, count)
    return SignalReference(AIR, "made up", joined(blocks), None, tuple(blocks))


def moved(day: SignalWindow, by: float) -> NumberDistribution:
    number = NumberDistribution.empty()
    number.update(np.array(day.signals[OZONE].weighted_values()[0]) + by)
    return number


def alarms(decider: Decider, weeks: list[SignalWindow]) -> float:
    found = [
        any(verdict.state is State.DRIFT for verdict in decider.decide(AIR, week)) for week in weeks
    ]
    return sum(found) / len(found)


def test_weeks_of_dependent_hours_seldom_alarm_where_independent_tests_always_do() -> None:
    rng = np.random.default_rng(1)
    reference = by_blocks(rng, 700)
    later = days(rng, 420)
    weeks = [joined(later[start : start + 7]) for start in range(0, 420, 7)]
    assert alarms(Decider(reference), weeks) <= 0.12
    independent = SignalReference(AIR, "made up", reference.window)
    assert alarms(Decider(independent), weeks) > 0.9


def test_shift_beyond_what_weeks_do_is_drift_with_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(2)
    reference = by_blocks(rng, 400)
    week = joined(days(rng, 7))
    shifted = np.array(week.signals[OZONE].weighted_values()[0]) + 6
    moved = SignalWindow()
    moved.update(168, {OZONE: shifted})
    verdict = next(v for v in Decider(reference).decide(AIR, moved) if v.signal == OZONE)
    assert verdict.state is State.DRIFT
    assert verdict.finding is not None
    assert verdict.finding.effect.lower > 1
    assert verdict.finding.detectable > 0.5


def test_reference_of_a_few_stretches_is_not_enough() -> None:
    rng = np.random.default_rng(3)
    reference = by_blocks(rng, 60)
    verdicts = Decider(reference).decide(AIR, joined(days(rng, 7)))
    assert {verdict.state for verdict in verdicts} == {State.NOT_ENOUGH_DATA}


def test_weeks_to_come_alarm_as_seldom_as_is_said() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(3):
        reference, later = by_blocks(rng, 350), days(rng, 350)
        weeks = [joined(later[start : start + 7]) for start in range(0, 350, 7)]
        found.append(alarms(Decider(reference), weeks))
    assert np.mean(found) <= 0.05


def test_extraordinary_fortnight_is_not_made_usual_by_its_own_days() -> None:
    rng = np.random.default_rng(7)
    blocks = days(rng, 300)
    for day in blocks[100:114]:
        day.signals[OZONE] = moved(day, 10.0)
    reference = SignalReference(AIR, "made up", joined(blocks), None, tuple(blocks))
    stretches = BlockNulls(reference, 0.05).stretches(7 * HOURS)
    assert stretches is not None
    # More than 4 % of its stretches lie beyond all others: it takes as much to alarm again.
    assert stretches.q < 0.03


def test_no_stretch_reaches_over_a_gap() -> None:
    rng = np.random.default_rng(6)
    blocks = days(rng, 200)
    kept = [*blocks[:80], SignalWindow(), *blocks[100:]]
    reference = SignalReference(AIR, "made up", joined(kept), None, tuple(kept))
    stretches = BlockNulls(reference, 0.05).stretches(7 * HOURS)
    assert stretches is not None
    assert len(stretches.nulls[OZONE].smallest) == (80 - 6) + (100 - 6)


def test_signal_that_is_absent_from_days_does_not_disturb() -> None:
    rng = np.random.default_rng(4)
    blocks = days(rng, 200)
    for day in blocks[::3]:
        del day.signals[DUST]
    reference = SignalReference(AIR, "made up", joined(blocks), None, tuple(blocks))
    stretches = BlockNulls(reference, 0.05).stretches(HOURS)
    assert stretches is not None
    assert DUST in stretches.nulls
    assert 0 < stretches.q < 1

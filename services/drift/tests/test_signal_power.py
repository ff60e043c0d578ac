"""What windows of a size would show, told before they are filled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drift.decision import Decider
from drift.domain import ModelVersion
from drift.signal_power import PlanInvalid, Planner, SignalPower
from drift.signals import SignalReference, SignalWindow, feature
from drift.verdict import SmallestEffects, State
from weir.drift.v1 import drift_pb2 as pb

from .reports import observed, reference
from .test_report_history import refused

PLANNER = Planner(minimum_rows=30, q=0.05, smallest=SmallestEffects())
WriteReference = Callable[..., Path]


def planned(rows: int, effect: float) -> dict[str, SignalPower]:
    return {each.signal.name: each for each in PLANNER.plan(reference(), rows, effect)}


def test_more_rows_and_larger_effects_are_found_more_often() -> None:
    chances = [planned(rows, 0.2)["feature:size"].power for rows in (100, 300, 1000)]
    assert chances == sorted(chances)
    assert planned(300, 0.4)["feature:size"].power > chances[1]


@pytest.mark.parametrize("signal", ["feature:size", "kind", "missing:size"])
def test_rows_needed_have_the_power_that_they_are_for(signal: str) -> None:
    effect = 0.12
    plan = planned(1000, effect)[signal]
    assert plan.rows_for_80 < plan.rows_for_95
    for rows, power in ((plan.rows_for_80, 0.8), (plan.rows_for_95, 0.95)):
        assert planned(rows, effect)[signal].power == pytest.approx(power, abs=0.03)
    again = planned(1000, plan.detectable)[signal]
    assert again.power == pytest.approx(0.9, abs=0.01)


def test_power_is_what_windows_show() -> None:
    random = np.random.default_rng(5)

    def window(rows: int, shift: float) -> SignalWindow:
        columns = {feature(f"n{place}"): random.normal(size=rows) for place in range(5)}
        columns[feature("n0")] += shift
        return observed(rows, columns)

    known = SignalReference(ModelVersion("m", "1"), "made", window(20_000, 0))
    plan = next(iter(PLANNER.plan(known, 300, 0.2)))
    decider = Decider(known)
    found = [decider.decide(known.about, window(300, 0.2))[0].state for _ in range(150)]
    assert found.count(State.DRIFT) / 150 == pytest.approx(plan.power, abs=0.12)


def test_effect_below_what_is_called_drift_is_never_found() -> None:
    plan = planned(10_000_000, 0.01)["feature:size"]
    assert plan.power < 0.01
    assert plan.rows_for_80 is None


def test_windows_without_enough_rows_show_nothing() -> None:
    plan = planned(10, 3.0)["feature:size"]
    assert (plan.power, plan.detectable) == (0.0, None)
    assert plan.rows_for_80 == 30


def test_constants_and_dependent_rows_have_no_power_that_could_be_told() -> None:
    rows = observed(500, {feature("size"): np.ones(500)})
    constant = PLANNER.plan(reference(window=rows), 1000, 0.2)
    assert [each.power for each in constant] == [None]
    blocks = (rows, rows)
    assert {each.power for each in PLANNER.plan(reference(blocks=blocks), 9, 0.2)} == {None}


@pytest.mark.parametrize(
    ("rows", "effect", "field"),
    [(0, 0.1, "n"), (10**9, 0.1, "n"), (10, 0.0, "effect"), (10, float("nan"), "effect")],
)
def test_plans_that_are_none_are_refused(rows: int, effect: float, field: str) -> None:
    with pytest.raises(PlanInvalid) as refusal:
        planned(rows, effect)
    assert refusal.value.violations[0].field == field


async def test_power_comes_over_grpc(stub: Any, write_reference: WriteReference) -> None:
    write_reference()
    answer = await stub.GetPower(pb.GetPowerRequest(model="reviews", rows=1000, effect=0.2))
    assert (answer.model, answer.model_version) == ("reviews", "1")
    by_name = {signal.signal: signal for signal in answer.signals}
    assert 0.9 < by_name["input_tokens"].power <= 1
    assert (by_name["input_tokens"].group, by_name["input_tokens"].kind) == ("text", "number")
    assert by_name["label"].rows_for_95 > by_name["label"].rows_for_80
    error = await refused(stub.GetPower(pb.GetPowerRequest(model="reviews", rows=0, effect=0.2)))
    assert error.code == "POWER_INVALID"

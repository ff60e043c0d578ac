"""What is refused at once, and with which reason."""

from dataclasses import replace

import pytest

from inference.admission import Forecast, Limits, refusal
from inference.domain import Fault, Rejection

from .simulated import ALONE, PER_TOKEN, FakeModel, Simulation

LIMITS = Limits(items=100, seconds=0.5, short_queue=10)
CALM = Forecast(
    now=50.0,
    seconds=0.1,
    wait=0.0,
    wait_of_request=0.0,
    waiting=0,
    waiting_of_tenant=0,
    tenants=1,
)
BUSY = replace(CALM, wait=0.4, wait_of_request=0.4, waiting=50, waiting_of_tenant=50)


def fault(rejection: Rejection | None) -> Fault | None:
    return rejection and rejection.fault


@pytest.mark.parametrize(
    ("forecast", "deadline", "expected"),
    [
        (CALM, None, None),
        (CALM, 50.2, None),
        (CALM, 50.05, Fault.DEADLINE_EXCEEDED),
        (CALM, 49.0, Fault.DEADLINE_EXCEEDED),
        (BUSY, 50.05, Fault.DEADLINE_EXCEEDED),
        (BUSY, 50.3, Fault.SATURATED),
        (BUSY, 50.6, None),
    ],
)
def test_queue_is_named_as_the_reason_only_where_it_is(
    forecast: Forecast, deadline: float | None, expected: Fault | None
) -> None:
    assert fault(refusal(forecast, deadline, LIMITS)) is expected


def test_hint_says_when_the_queue_will_be_short_enough() -> None:
    late = refusal(BUSY, 50.3, LIMITS)
    assert late is not None
    assert late.retry_after == pytest.approx(0.2)
    full = refusal(replace(BUSY, wait_of_request=2.5), None, LIMITS)
    assert full is not None
    assert full.retry_after == pytest.approx(2.0)


def test_long_wait_is_refused_unless_few_items_make_it() -> None:
    waiting = replace(BUSY, wait_of_request=0.6)
    assert fault(refusal(waiting, None, LIMITS)) is Fault.SATURATED
    assert refusal(replace(waiting, waiting=9), None, LIMITS) is None


def test_request_is_not_refused_for_being_long() -> None:
    assert refusal(replace(BUSY, wait=3.0, wait_of_request=0.1), None, LIMITS) is None


def test_full_queue_takes_those_with_less_than_their_share() -> None:
    full = replace(CALM, waiting=100, tenants=2, waiting_of_tenant=90)
    assert fault(refusal(full, None, LIMITS)) is Fault.SATURATED
    assert refusal(replace(full, waiting_of_tenant=10), None, LIMITS) is None


def test_models_own_limit_holds_for_that_model() -> None:
    simulation = Simulation(FakeModel(max_waiting_items=3))
    simulation.arrive(0.0, "acme", "a", [10] * 5)
    simulation.arrive(0.0, "acme", "b", [10] * 5, model=FakeModel(name="other"))
    simulation.run()
    assert [job.model.name for job, _ in simulation.refused] == ["m", "m"]
    assert len(simulation.ended) == 8


def test_flood_of_one_tenant_refuses_that_tenant_only() -> None:
    simulation = Simulation(FakeModel(ALONE), limits=LIMITS)
    for number in range(300):
        simulation.arrive(0.0001 * number, "flood", f"f-{number}", [50])
    for number in range(5):
        simulation.arrive(0.01 + 0.2 * number, "calm", f"c-{number}", [50])
    simulation.run()
    assert {job.tenant for job, _ in simulation.refused} == {"flood"}
    assert len(simulation.waits("calm")) == 5


def test_foreseen_wait_is_what_it_turns_out_to_be() -> None:
    """A deadline that the forecast just allows is met, and one just below it is refused."""
    for slack, taken in ((0.001, True), (-0.001, False)):
        simulation = Simulation(FakeModel(ALONE))
        simulation.arrive(0.0, "acme", "a", [100] * 6)
        finish = 750 * PER_TOKEN
        # Its size is guessed before it is encoded.
        simulation.schedule._profile(simulation.model).size_guess._per_unit = 1.0
        simulation.arrive(0.01, "acme", "a", [100, 50], deadline=finish + slack)
        simulation.run()
        assert (len(simulation.ended) == 8) is taken
        assert not simulation.late

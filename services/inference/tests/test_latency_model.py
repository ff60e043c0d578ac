"""What a run is predicted to take, and how it is measured."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.domain import Scored
from inference.latency_model import LatencyModel, SizeGuess
from inference.runnable import Prepared
from inference.warm_up import measure

from .simulated import ALONE, TOGETHER, FakeModel, Simulation

MEASURED = {(1, 8): 1.0, (1, 64): 8.0, (1, 256): 40.0, (4, 8): 3.0, (4, 64): 34.0, (8, 8): 7.0}


class Clock:
    """Stands still unless a model runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedModel(FakeModel):
    """Takes a second for a thousand tokens, and longer for the first run of a shape."""

    def __init__(self, clock: Clock, slowness: float = 1.0, together: bool = True) -> None:
        super().__init__(TOGETHER if together else ALONE)
        self.clock = clock
        self.slowness = slowness
        self.shapes: list[tuple[int, int]] = []

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        shape = (len(batch), batch[0].size)
        first = 1.5 if shape not in self.shapes else 1.0
        self.shapes.append(shape)
        self.clock.now += self.slowness * first * shape[0] * shape[1] * 1e-5
        return super().run(batch)


def test_measured_points_are_predicted_as_measured_and_others_between_them() -> None:
    model = LatencyModel(MEASURED)
    for (items, size), seconds in MEASURED.items():
        assert model.seconds(items, size) == pytest.approx(seconds)
    assert model.seconds(1, 36) == pytest.approx(4.5)
    assert model.seconds(1, 512) == pytest.approx(80.0)
    assert model.seconds(2, 8) == pytest.approx(1.0 + 2.0 / 3)


def test_more_items_than_were_measured_gain_nothing_more() -> None:
    model = LatencyModel(MEASURED)
    assert model.seconds(16, 8) == pytest.approx(14.0)
    assert model.seconds(8, 64) == pytest.approx(68.0)
    assert model.seconds(8, 256) == pytest.approx(320.0)


def test_slower_machine_is_followed_within_some_runs() -> None:
    model = LatencyModel(MEASURED)
    for _ in range(40):
        model.observe(1, 64, 24.0)
    assert model.seconds(1, 64) == pytest.approx(24.0, rel=0.05)
    assert model.seconds(1, 8) == pytest.approx(3.0, rel=0.3)


@given(st.floats(1e-6, 1e6))
def test_single_run_changes_little_however_long_it_took(seconds: float) -> None:
    model = LatencyModel(MEASURED)
    model.observe(4, 8, seconds)
    assert 0.9 <= model.seconds(4, 8) / 3.0 <= 1.1


def test_model_that_was_never_measured_is_learned() -> None:
    model = LatencyModel({})
    for _ in range(200):
        model.observe(1, 100, 0.5)
    assert model.seconds(1, 100) == pytest.approx(0.5, rel=0.05)


def test_warm_up_measures_alone_and_together_and_leaves_the_first_run_out() -> None:
    clock = Clock()
    model = TimedModel(clock)
    latency = measure(model, clock)
    assert latency.seconds(1, 8) == pytest.approx(8e-5)
    assert latency.seconds(1, 256) == pytest.approx(256e-5)
    assert (8, 64) in model.shapes
    assert all(items * size <= TOGETHER.max_padded_tokens for items, size in model.shapes)


def test_warm_up_of_a_model_that_runs_items_alone_never_batches() -> None:
    clock = Clock()
    model = TimedModel(clock, together=False)
    measure(model, clock)
    assert {items for items, _ in model.shapes} == {1}


@pytest.mark.parametrize("slowness", [1, 10, 30, 100])
def test_warm_up_keeps_to_its_budget(slowness: float) -> None:
    clock = Clock()
    latency = measure(TimedModel(clock, slowness), clock, budget=0.25)
    assert clock.now <= 0.3
    # A long run counts the first time, with all that only the first one pays for.
    assert latency.seconds(1, 8) == pytest.approx(slowness * 8e-5, rel=0.6)


def test_size_is_guessed_by_what_earlier_texts_had() -> None:
    guess = SizeGuess(largest=256)
    for _ in range(300):
        guess.learn(100, 50)
        guess.learn(2000, 256)
    assert guess.of(100) == pytest.approx(50, abs=1)
    assert guess.of(5000) == 256
    assert guess.of(0) == 1


def test_prediction_that_keeps_everything_from_running_is_tried_again_some_time() -> None:
    simulation = Simulation(FakeModel(ALONE))
    for _ in range(50):
        simulation.schedule.latency_of(simulation.model).observe(1, 100, 100.0)
    for number in range(200):
        simulation.arrive(float(number), "acme", f"r-{number}", [100], deadline=number + 0.2)
    simulation.run()
    assert simulation.refused
    assert simulation.ended

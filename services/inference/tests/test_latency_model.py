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


def made(items: int, size: int) -> float:
    """A millisecond for the run, a quarter for each token, and a little for long texts."""
    tokens = items * size
    return 1e-3 + tokens * (2.5e-4 + size * 2e-7)


MEASURED = {
    shape: made(*shape) for shape in ((1, 8), (4, 8), (16, 8), (1, 32), (4, 32), (1, 128), (4, 128))
}


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


def test_runs_that_keep_to_the_form_are_predicted_wherever_they_were_measured() -> None:
    model = LatencyModel(MEASURED)
    for shape in (*MEASURED, (1, 36), (2, 8), (8, 8), (16, 64), (1, 512)):
        assert model.seconds(*shape) == pytest.approx(made(*shape), rel=1e-3)


@given(st.lists(st.floats(0.9, 1.1), min_size=len(MEASURED), max_size=len(MEASURED)))
def test_measurements_that_were_held_up_a_little_bend_predictions_no_more(
    held_up: list[float],
) -> None:
    model = LatencyModel(
        {shape: each * MEASURED[shape] for shape, each in zip(MEASURED, held_up, strict=True)}
    )
    for shape in ((1, 8), (2, 12), (4, 24), (8, 32), (1, 128)):
        assert model.seconds(*shape) == pytest.approx(made(*shape), rel=0.25)


@given(
    st.dictionaries(
        st.tuples(st.integers(1, 64), st.integers(1, 512)), st.floats(1e-6, 1e3), min_size=1
    ),
    st.tuples(st.integers(1, 64), st.integers(1, 512)),
)
def test_more_is_never_predicted_to_take_less(
    measured: dict[tuple[int, int], float], shape: tuple[int, int]
) -> None:
    model = LatencyModel(measured)
    items, size = shape
    seconds = model.seconds(items, size)
    assert seconds >= 0
    assert model.seconds(items + 1, size) >= seconds
    assert model.seconds(items, size + 1) >= seconds


def test_what_runs_cost_by_themselves_is_learned_from_the_runs() -> None:
    model = LatencyModel({(1, 8): 8e-3, (1, 32): 32e-3, (4, 32): 128e-3})
    assert model.seconds(4, 8) == pytest.approx(4 * model.seconds(1, 8))
    for _ in range(3000):
        for shape in ((1, 8), (4, 8), (1, 32), (4, 32)):
            model.observe(*shape, made(*shape))
    assert model.seconds(4, 8) < 0.9 * 4 * model.seconds(1, 8)


def test_slower_machine_is_followed_within_some_runs() -> None:
    model = LatencyModel(MEASURED)
    for _ in range(40):
        model.observe(1, 64, 3 * made(1, 64))
    assert model.seconds(1, 64) == pytest.approx(3 * made(1, 64), rel=0.05)
    assert model.seconds(1, 8) == pytest.approx(3 * made(1, 8), rel=0.3)


@given(st.floats(1e-6, 1e6))
def test_single_run_changes_little_however_long_it_took(seconds: float) -> None:
    model = LatencyModel(MEASURED)
    model.observe(4, 8, seconds)
    assert 0.9 <= model.seconds(4, 8) / made(4, 8) <= 1.1


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
    assert (4, 32) in model.shapes
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

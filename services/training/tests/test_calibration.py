from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.calibration import calibrate, fit_temperature, fitting_half, source_weights
from training.probabilities import Floats, Integers, log_losses, softmax


def honest_rows(count: int, classes: int, seed: int) -> tuple[Floats, Integers]:
    """Logits whose softmax is the true distribution of the labels that are drawn from it."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 2, (count, classes))
    drawn = (softmax(logits).cumsum(axis=1) < chance.random((count, 1))).sum(axis=1)
    return logits, np.minimum(drawn, classes - 1)


@settings(deadline=None, max_examples=25)
@given(scale=st.floats(0.2, 5), classes=st.integers(2, 4), seed=st.integers(0, 1000))
def test_the_temperature_of_scaled_logits_is_found_again(
    scale: float, classes: int, seed: int
) -> None:
    logits, labels = honest_rows(4000, classes, seed)

    fitted = fit_temperature(logits * scale, labels, np.ones(4000))

    assert fitted.determined
    assert fitted.value == pytest.approx(scale, rel=0.12)
    assert fitted.log_loss_after <= fitted.log_loss_before


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), scale=st.floats(0.3, 4))
def test_no_temperature_nearby_has_a_lower_loss(seed: int, scale: float) -> None:
    logits, labels = honest_rows(60, 2, seed)
    weights = np.random.default_rng(seed).random(60) + 0.1

    fitted = fit_temperature(logits * scale, labels, weights)

    if fitted.determined:
        for other in (fitted.value * 0.99, fitted.value * 1.01):
            loss = np.average(log_losses(logits * scale, labels, other), weights=weights)
            assert loss > fitted.log_loss_after - 1e-9


def test_an_overconfident_model_is_calmed() -> None:
    # Right three times of four, and always sure to 0.9526: the best temperature makes it 0.75.
    logits = np.tile([0.0, 3.0], (4, 1))

    fitted = fit_temperature(logits, np.array([1, 1, 1, 0]), np.ones(4))

    assert fitted.value == pytest.approx(3 / np.log(3), abs=1e-4)
    assert fitted.ece_before == pytest.approx(0.9526 - 0.75, abs=1e-4)
    assert fitted.ece_after == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_rows_that_are_all_right_or_all_wrong_determine_no_temperature(label: int) -> None:
    fitted = fit_temperature(np.tile([0.0, 3.0], (5, 1)), np.full(5, label), np.ones(5))

    assert (fitted.value, fitted.determined) == (1.0, False)
    assert fitted.log_loss_after == fitted.log_loss_before


def test_weights_count_as_repeated_rows() -> None:
    logits, labels = honest_rows(50, 3, seed=1)
    times = np.random.default_rng(2).integers(1, 4, 50)

    weighted = fit_temperature(logits, labels, times.astype(float))
    repeated = fit_temperature(
        logits.repeat(times, axis=0), labels.repeat(times), np.ones(times.sum())
    )

    assert weighted.value == pytest.approx(repeated.value, abs=2e-4)
    assert weighted.ece_after == pytest.approx(repeated.ece_after, abs=1e-3)


def test_sources_count_the_same_however_many_rows_they_have() -> None:
    weights = source_weights(["large"] * 8 + ["small"] * 2)

    assert weights[:8].sum() == pytest.approx(weights[8:].sum()) == pytest.approx(5)


def test_a_large_source_does_not_drown_a_small_one() -> None:
    calm, labels = honest_rows(3000, 2, seed=3)
    loud, few = honest_rows(300, 2, seed=4)
    sources = ["large"] * 3000 + ["small"] * 300
    logits, both = np.vstack([calm, loud * 4]), np.concatenate([labels, few])

    drowned = fit_temperature(logits, both, np.ones(3300))
    equal = fit_temperature(logits, both, source_weights(sources))

    assert drowned.value < equal.value < 4


def test_a_row_is_on_the_same_side_in_any_company_and_sides_are_about_even() -> None:
    texts = [f"text {number}" for number in range(1000)]

    halves = fitting_half(texts)

    assert 430 < halves.sum() < 570
    assert (fitting_half(texts[::-1])[::-1] == halves).all()
    assert fitting_half(["text 3", "text 3"]).tolist() == [halves[3]] * 2


def test_the_judged_half_has_no_say_in_the_temperature() -> None:
    logits, labels = honest_rows(2000, 2, seed=5)
    texts, sources = [str(number) for number in range(2000)], ["one"] * 2000
    first = fitting_half(texts)
    turned = np.where(first, labels, 1 - labels)

    calibration = calibrate(logits * 3, labels, texts, sources)
    other = calibrate(logits * 3, turned, texts, sources)

    assert calibration is not None
    assert other is not None
    assert calibration.temperature == other.temperature
    assert calibration.held_out != other.held_out
    assert calibration.temperature.rows + calibration.held_out.rows == 2000
    assert calibration.cross_fitted.rows == 2000


def test_held_out_rows_of_an_overconfident_model_are_calibrated() -> None:
    logits, labels = honest_rows(8000, 2, seed=6)
    texts = [str(number) for number in range(8000)]

    calibration = calibrate(logits * 3, labels, texts, ["one"] * 8000)

    assert calibration is not None
    for judged in (calibration.held_out, calibration.cross_fitted):
        assert judged.ece_before > 0.05
        assert judged.ece_after < 0.025
        assert judged.log_loss_after < judged.log_loss_before


def test_too_few_rows_for_two_halves_are_not_calibrated() -> None:
    assert calibrate(np.zeros((1, 2)), np.zeros(1, dtype=np.int64), ["one"], ["source"]) is None

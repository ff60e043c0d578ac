"""Many tests in a window, and how large a window must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.power import detectable, power
from drift.signals import Kind
from drift.verdict import SmallestEffects, rejected, smallest_q

chances = st.lists(st.floats(1e-12, 1), min_size=1, max_size=30)


def test_procedure_rejects_as_in_the_example_of_its_authors() -> None:
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert rejected(p, 0.05) == [True] * 4 + [False] * 11


def test_nothing_is_rejected_of_nothing() -> None:
    assert rejected([], 0.05) == []


@settings(deadline=None)
@given(p=chances, place=st.integers(0, 29), factor=st.floats(0, 1))
def test_smaller_chance_never_rejects_fewer(p: list[float], place: int, factor: float) -> None:
    lower = list(p)
    lower[place % len(p)] *= factor
    before, after = rejected(p, 0.05), rejected(lower, 0.05)
    assert all(later or not earlier for earlier, later in zip(before, after, strict=True))


@settings(deadline=None)
@given(p=chances)
def test_larger_q_never_rejects_fewer(p: list[float]) -> None:
    before, after = rejected(p, 0.05), rejected(p, 0.2)
    assert all(later or not earlier for earlier, later in zip(before, after, strict=True))


@settings(deadline=None)
@given(p=chances)
def test_smallest_q_is_where_the_first_is_rejected(p: list[float]) -> None:
    q = float(smallest_q(np.array([p]))[0])
    assert any(rejected(p, q * (1 + 1e-9) + 1e-12))
    assert not any(rejected(p, q * (1 - 1e-9)))


def test_power_is_what_it_detects_nine_times_of_ten() -> None:
    shift = detectable(1000)
    assert power(1000, shift) == pytest.approx(0.9, abs=1e-6)
    assert power(1000, -shift) == pytest.approx(0.9, abs=1e-6)


def test_power_grows_with_rows_and_effect_from_the_level() -> None:
    assert power(1000, 0.0, signals=1) == pytest.approx(0.05)
    assert power(1000, 0.1) < power(2000, 0.1) < power(2000, 0.2)


@pytest.mark.parametrize("rows", [0, -1])
def test_window_without_rows_has_no_power(rows: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        power(rows, 0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        detectable(100, 1.0)


def test_every_kind_has_an_effect_that_matters() -> None:
    smallest = SmallestEffects(number=0.1, ratio=0.2, category=0.3, vector=0.4)
    found = {kind: smallest.of(kind) for kind in Kind}
    assert found[Kind.NUMBER] == 0.1
    assert found[Kind.DISTINCT] == found[Kind.RATIO] == 0.2
    assert (found[Kind.CATEGORY], found[Kind.VECTOR]) == (0.3, 0.4)

from __future__ import annotations

import pytest

from training.domain import Dataset, Example, Prediction
from training.production_gate import mean_accuracy


def test_each_source_counts_the_same_however_many_rows_it_has() -> None:
    def source(*labels: int) -> Dataset:
        return Dataset("toys", "dev", tuple(Example("a text", label) for label in labels), "0" * 64)

    negative = Prediction((0.6, 0.4), input_tokens=4, special_tokens=2, unknown_tokens=0)
    sets = (source(0, 0, 0, 1), source(1))

    assert mean_accuracy(sets, [[negative] * 4, [negative]]) == pytest.approx((0.75 + 0) / 2)

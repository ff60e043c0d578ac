from __future__ import annotations

import hashlib
import itertools

import pytest

from training.domain import Example, Prediction
from training.evaluate import (
    accuracy,
    agreement,
    changed_labels,
    evaluate,
    labels_sha256,
    macro_f1,
    mean_confidence,
)


def say(*positive: float) -> list[Prediction]:
    return [
        Prediction((1 - p, p), input_tokens=4, special_tokens=2, unknown_tokens=0) for p in positive
    ]


def rows(*labels: int) -> list[Example]:
    return [Example(str(index), label) for index, label in enumerate(labels)]


def test_accuracy_is_the_share_of_right_labels() -> None:
    assert accuracy(say(0.9, 0.8, 0.3, 0.4), rows(1, 0, 0, 0)) == 0.75


def test_macro_f1_weighs_labels_alike() -> None:
    # Label 1: TP 1, FP 1, FN 0 → 2/3. Label 0: TP 2, FP 0, FN 1 → 4/5.
    assert macro_f1(say(0.9, 0.8, 0.3, 0.4), rows(1, 0, 0, 0)) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_agreement_and_changed_labels_compare_labels_only() -> None:
    one = say(0.9, 0.6, 0.2)

    assert agreement(one, say(0.7, 0.4, 0.1)) == pytest.approx(2 / 3)
    assert changed_labels(one, [say(0.7, 0.4, 0.1), say(0.9, 0.3, 0.6)]) == 2
    assert changed_labels(one, [one, one]) == 0


def test_confidence_is_that_of_the_predicted_label_and_a_tie_takes_the_first() -> None:
    assert mean_confidence(say(0.9, 0.2)) == pytest.approx(0.85)
    assert say(0.5)[0].label == 0


def test_the_digest_is_of_the_label_indices_as_one_string() -> None:
    assert labels_sha256(say(0.1, 0.9, 0.8, 0.2)) == hashlib.sha256(b"0110").hexdigest()


def test_each_text_is_predicted_alone_and_timed() -> None:
    asked: list[str] = []
    ticks = itertools.accumulate(itertools.chain.from_iterable((1.0, d) for d in (0.1, 0.5, 0.2)))

    def predict(text: str) -> Prediction:
        asked.append(text)
        return say(0.9)[0]

    evaluation = evaluate(predict, rows(1, 1, 0), clock=lambda: next(ticks))

    assert asked == ["0", "1", "2"]
    assert evaluation.median_ms == pytest.approx(200)

from __future__ import annotations

import json

import pytest

from training.domain import ExportError, Prediction
from training.golden import CANDIDATES, golden_text
from training.package import MAX_CHARACTERS

LABELS = ("negative", "positive")


def always(positive: float) -> Prediction:
    return Prediction((1 - positive, positive), 4, 2, 0)


def test_steady_answers_are_kept_with_one_probability_a_label() -> None:
    lines = golden_text(
        lambda text: always(0.25), [lambda text: always(0.254)], LABELS, tolerance=0.02
    ).splitlines()

    assert [json.loads(line)["text"] for line in lines] == list(CANDIDATES)
    assert json.loads(lines[0])["probabilities"] == {"negative": 0.75, "positive": 0.25}


def test_an_answer_that_float_noise_moves_is_left_out() -> None:
    moved = CANDIDATES[2]

    text = golden_text(
        lambda text: always(0.9),
        [lambda text: always(0.9), lambda text: always(0.89 if text == moved else 0.9)],
        LABELS,
        tolerance=0.02,
    )

    assert [json.loads(line)["text"] for line in text.splitlines()] == [
        candidate for candidate in CANDIDATES if candidate != moved
    ]


def test_a_model_that_float_noise_moves_throughout_is_refused() -> None:
    with pytest.raises(ExportError, match="only 0 of"):
        golden_text(lambda text: always(0.9), [lambda text: always(0.8)], LABELS, tolerance=0.02)


def test_no_candidate_is_longer_than_a_caller_may_send() -> None:
    assert max(map(len, CANDIDATES)) <= MAX_CHARACTERS
    assert any(len(candidate.split()) > 256 for candidate in CANDIDATES)

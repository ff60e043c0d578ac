"""The drift reference holds what drift can watch, and no text."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from training.domain import Example, Prediction
from training.onnx_classifier import narrow
from training.reference import reference_text

LABELS = ("negative", "positive")


def rows(count: int, *, projects: bool = True) -> tuple[list[Prediction], list[Example]]:
    random = np.random.default_rng(3)
    predictions, examples = [], []
    for number in range(count):
        sure = float(random.uniform(0.5, 1))
        positive = bool(random.random() < 0.5)
        scale, vector = narrow(random.standard_normal(64).astype(np.float32))
        predictions.append(
            Prediction(
                (1 - sure, sure) if positive else (sure, 1 - sure),
                input_tokens=12,
                special_tokens=2,
                unknown_tokens=number % 2,
                projection=vector if projects else b"",
                projection_scale=scale,
            )
        )
        right = bool(random.random() < sure)
        examples.append(Example(f"Text {number // 2}, не так", int(positive == right)))
    return predictions, examples


def reference(count: int = 300, **options: Any) -> dict[str, Any]:
    predictions, examples = rows(count, **options)
    text = reference_text(
        predictions, examples, LABELS, model="reviews", version="1", source="made-up dev"
    )
    content: dict[str, Any] = json.loads(text)
    return content


def array(text: str, dtype: str) -> Any:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_entropy_and_margin_are_those_of_the_probabilities() -> None:
    signals = reference()["signals"]
    predictions, _ = rows(300)
    shares = np.array([of.probabilities for of in predictions])
    assert signals["entropy"]["mean"] == pytest.approx(-(shares * np.log(shares)).sum(1).mean())
    assert signals["margin"]["mean"] == pytest.approx(np.abs(shares[:, 1] - shares[:, 0]).mean())


def test_certain_answer_has_no_entropy() -> None:
    sure = [Prediction((1.0, 0.0), 3, 2, 0)]
    text = reference_text(
        sure, [Example("good", 0)], LABELS, model="m", version="1", source="one row"
    )
    signals = json.loads(text)["signals"]
    assert signals["entropy"]["mean"] == pytest.approx(0)
    assert signals["margin"]["variance"] == 0


def test_projection_is_a_sample_of_rows_with_what_became_of_them() -> None:
    projection = reference(3000)["signals"]["projection"]
    assert (projection["rows"], projection["dimensions"]) == (3000, 64)
    keys = array(projection["keys"], "<u8")
    assert (len(keys), bool((keys[1:] > keys[:-1]).all())) == (2048, True)
    assert len(array(projection["values"], "i1")) == 2048 * 64
    sure, right = array(projection["confidences"], "<f4"), array(projection["outcomes"], "i1")
    assert right.mean() == pytest.approx(sure.mean(), abs=0.05)


def test_graph_without_a_projection_leaves_it_out() -> None:
    assert "projection" not in reference(projects=False)["signals"]


def test_accuracy_is_known_in_all_and_by_confidence() -> None:
    known = reference(2000)["known_accuracy"]
    assert sum(of["rows"] for of in known["bins"]) == known["rows"] == 2000
    assert sum(of["right"] for of in known["bins"]) == known["right"]
    for of in known["bins"]:
        if of["rows"] > 100:
            assert of["right"] / of["rows"] == pytest.approx(of["confidence"], abs=0.15)


def test_repeated_texts_are_counted_and_nobody_can_look_one_up() -> None:
    first, second = (reference()["signals"]["duplicate_rate"] for _ in range(2))
    assert (len(array(first["hashes"], "<u8")), first["rows"]) == (150, 300)
    assert set(array(first["counts"], "<u4")) == {2}
    assert first["hashes"] != second["hashes"]


def test_size_stays_below_half_a_megabyte() -> None:
    predictions, examples = rows(6000)
    examples = [Example(f"text {number}", of.label) for number, of in enumerate(examples)]
    text = reference_text(
        predictions, examples, LABELS, model="reviews", version="1", source="made-up dev"
    )
    assert len(text) < 500_000


def test_vector_is_narrowed_to_a_byte_a_dimension() -> None:
    vector = np.array([1.0, -0.5, 0.25, 0.0], np.float32)
    scale, values = narrow(vector)
    assert np.frombuffer(values, np.int8) * scale == pytest.approx(vector, abs=scale / 2)
    assert narrow(np.zeros(3, np.float32)) == (0.0, b"\0\0\0")
    assert narrow(np.array([1.0, np.nan], np.float32)) == (0.0, b"")

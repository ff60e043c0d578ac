from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from training.domain import Example
from training.evaluation import evaluate_answers
from training.evaluation_rows import Rows, slices
from training.figures import SIGNS, Answers, Figure
from training.model_comparison import Candidate, verdict
from training.probabilities import Floats
from training.resampling import Bootstrap, Interval, mcnemar_p, wilson_interval

NAMES = ("negative", "positive")
COUNT = 400


def make_rows(count: int = COUNT, names: Sequence[str] = NAMES, seed: int = 0) -> Rows:
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, len(names), count)
    examples = [
        Example(f"secret {index}", int(label), "large" if index % 4 else "small")
        for index, label in enumerate(labels)
    ]
    return Rows.of(examples, chance.integers(3, 300, count).tolist(), names)


def make_logits(rows: Rows, strength: float, seed: int = 1) -> Floats:
    """Logits of a model that knows more of the labels the greater ``strength`` is."""
    noise = np.random.default_rng(seed).normal(0, 1, (len(rows.texts), len(rows.names)))
    return noise + strength * np.eye(len(rows.names))[rows.labels]


def candidate(logits: Floats, temperature: float = 1.0) -> Candidate:
    return Candidate({"name": "toy"}, logits, temperature)


def evaluate(rows: Rows, logits: Floats, resamples: int = 60, **more: Any) -> dict[str, Any]:
    return evaluate_answers(
        rows, candidate(logits), Bootstrap(rows.sources, resamples, seed=3), **more
    )


@pytest.fixture(scope="module")
def rows() -> Rows:
    return make_rows()


@pytest.fixture(scope="module")
def document(rows: Rows) -> dict[str, Any]:
    return evaluate(rows, make_logits(rows, 2))


def test_the_document_is_json_without_nan_and_without_any_text(document: dict[str, Any]) -> None:
    text = json.dumps(document, allow_nan=False)

    assert "secret" not in text
    assert json.loads(text) == document


def test_every_interval_holds_its_figure(document: dict[str, Any]) -> None:
    for figures in (document["metrics"], document["mean_over_sources"]):
        assert list(figures) == list(SIGNS)
        for name, figure in figures.items():
            # Chance parts accuracy and confidence in resamples more than in the rows.
            low = 0 if name.startswith("ece") else figure["low"]
            assert low <= figure["value"] <= figure["high"]


def test_counts_add_up(rows: Rows, document: dict[str, Any]) -> None:
    matrix = np.array(document["confusion"])

    assert matrix.sum() == COUNT
    assert np.trace(matrix) / COUNT == pytest.approx(document["metrics"]["accuracy"]["value"])
    assert [of["rows"] for of in document["labels"]] == matrix.sum(axis=1).tolist()
    assert [of["predicted"] for of in document["labels"]] == matrix.sum(axis=0).tolist()
    assert sum(of["right"] + of["wrong"] for of in document["confidence"]) == COUNT
    assert sum(of["right"] for of in document["confidence"]) == np.trace(matrix)
    for by in ("source", "length", "label"):
        assert sum(of["rows"] for of in document["slices"] if of["by"] == by) == COUNT


def test_sources_count_the_same_in_their_mean(rows: Rows) -> None:
    logits = make_logits(rows, 2)
    logits[np.array(rows.sources) == "small"] *= -1
    found = evaluate(rows, logits, resamples=5)
    by_source = {
        of["name"]: of["accuracy"]["value"] for of in found["slices"] if of["by"] == "source"
    }

    mean = found["mean_over_sources"]["accuracy"]["value"]
    assert mean == pytest.approx((by_source["large"] + by_source["small"]) / 2)
    assert mean < found["metrics"]["accuracy"]["value"]


def test_a_slice_of_few_rows_has_a_wide_interval(rows: Rows, document: dict[str, Any]) -> None:
    for of in document["slices"]:
        share = wilson_interval(of["accuracy"]["value"] * of["rows"], of["rows"])
        assert share is not None
        assert of["accuracy"]["low"] == pytest.approx(share.low)


def test_lengths_end_where_they_say(rows: Rows) -> None:
    lengths = {name: rows.tokens[places] for by, name, places in slices(rows) if by == "length"}

    assert list(lengths) == [
        "1 to 16 tokens",
        "17 to 32 tokens",
        "33 to 64 tokens",
        "65 to 128 tokens",
        "129 to 256 tokens",
        "over 256 tokens",
    ]
    assert lengths["33 to 64 tokens"].min() >= 33
    assert lengths["33 to 64 tokens"].max() <= 64


def test_the_same_seed_gives_the_same_document(rows: Rows, document: dict[str, Any]) -> None:
    assert evaluate(rows, make_logits(rows, 2)) == document


def test_a_temperature_changes_confidence_and_no_label(rows: Rows) -> None:
    logits = make_logits(rows, 2)

    plain, soft = Answers(logits, rows.labels, 1.0), Answers(logits, rows.labels, 3.0)

    assert (plain.predicted == soft.predicted).all()
    assert (soft.confidences < plain.confidences).all()


def test_the_report_says_what_a_fitted_temperature_would_do(rows: Rows) -> None:
    calibration = evaluate(rows, make_logits(rows, 1) * 5, resamples=2)["calibration"]
    fitted = calibration["fitted"]

    assert calibration["temperature"] == 1
    assert fitted["temperature"]["value"] > 1.5
    assert fitted["held_out"]["ece_after"] < fitted["held_out"]["ece_before"]
    assert calibration["other_half"]["rows"] == fitted["held_out"]["rows"]


def test_one_label_leaves_the_roc_undefined_and_says_why(rows: Rows) -> None:
    single = Rows(rows.texts, rows.sources, np.ones(COUNT, np.int64), rows.tokens, NAMES)
    found = evaluate(single, make_logits(single, 2), resamples=5)

    assert found["metrics"]["roc_auc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "every row has the label positive",
    }
    assert found["metrics"]["accuracy"]["value"] is not None
    assert found["roc"] == []
    negative, positive = found["labels"]
    assert negative["recall"]["reason"] == "no row has the label negative"
    assert positive["recall"]["value"] is not None


def test_of_three_labels_the_area_is_the_mean_of_one_against_the_rest() -> None:
    rows = make_rows(300, ("a", "b", "c"))
    found = evaluate(rows, make_logits(rows, 1), resamples=5)

    areas = [of["roc_auc"]["value"] for of in found["labels"]]
    assert found["metrics"]["roc_auc"]["value"] == pytest.approx(np.mean(areas))
    assert [curve["label"] for curve in found["roc"]] == ["a", "b", "c"]


def test_a_label_without_rows_is_named() -> None:
    rows = make_rows(100, ("a", "b"))
    wider = Rows(rows.texts, rows.sources, rows.labels, rows.tokens, ("a", "b", "c"))
    found = evaluate(wider, make_logits(wider, 1), resamples=5)

    assert found["metrics"]["roc_auc"]["reason"] == "no row has the label c"
    assert found["labels"][2]["roc_auc"]["reason"] == "no row has the label c"


def test_a_better_model_is_called_better_and_the_other_way_round(rows: Rows) -> None:
    good, bad = make_logits(rows, 2.5), make_logits(rows, 0.7, seed=9)

    better = evaluate(rows, good, against=candidate(bad))["against"]
    worse = evaluate(rows, bad, against=candidate(good))["against"]

    for name in ("accuracy", "roc_auc", "log_loss"):
        assert better["difference"][name]["verdict"] == "better"
        assert worse["difference"][name]["verdict"] == "worse"
        assert better["difference"][name]["value"] == -worse["difference"][name]["value"]
    assert better["only_this_right"] == worse["only_other_right"]
    assert better["mcnemar_p"] == mcnemar_p(better["only_this_right"], better["only_other_right"])
    assert better["mcnemar_p"] < 0.01


def test_a_model_is_not_better_than_itself(rows: Rows) -> None:
    logits = make_logits(rows, 2)
    found = evaluate(rows, logits, against=candidate(logits))["against"]

    assert {of["verdict"] for of in found["difference"].values()} == {"open"}
    assert {of["value"] for of in found["difference"].values()} == {0}
    assert (found["agreement"], found["mcnemar_p"]) == (1, 1)


def test_the_paired_interval_is_shorter_than_the_models_own(rows: Rows) -> None:
    logits = make_logits(rows, 2)
    nearly = logits.copy()
    nearly[:4] *= -1
    found = evaluate(rows, nearly, resamples=400, against=candidate(logits))

    def width(figure: dict[str, float]) -> float:
        return figure["high"] - figure["low"]

    assert (
        width(found["against"]["difference"]["accuracy"]) < width(found["metrics"]["accuracy"]) / 2
    )


@pytest.mark.parametrize(
    ("low", "high", "sign", "said"),
    [
        (0.1, 0.2, 1, "better"),
        (0.1, 0.2, -1, "worse"),
        (-0.2, -0.1, -1, "better"),
        (-0.1, 0.1, 1, "open"),
        (0.0, 0.1, 1, "open"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(
    low: float, high: float, sign: int, said: str
) -> None:
    assert verdict(Figure(0.0, Interval(low, high)), sign) == said
    assert verdict(Figure(None), sign) == "open"

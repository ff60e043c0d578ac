"""The package that a build registered, read with nothing but the format's description in mind."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from datasketches import kll_floats_sketch
from tokenizers import Tokenizer

FILES = {
    "MODEL_CARD.md",
    "golden.jsonl",
    "model.onnx",
    "model.yaml",
    "reference.json",
    "tokenizer.json",
}


@pytest.fixture(scope="module")
def described(package: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((package / "model.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def answers(package: Path, dev_rows: list[dict[str, Any]]) -> list[tuple[list[str], list[float]]]:
    """Tokens and probabilities of every dev row, by another way than the build's own."""
    return [ask(package, row["text"]) for row in dev_rows]


@pytest.fixture(scope="module")
def prepared_dev(built: Path) -> Path:
    return built / "work" / "toy-1" / "data" / "dev.jsonl.gz"


@pytest.fixture(scope="module")
def dev_rows(prepared_dev: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(prepared_dev.read_bytes()).splitlines()]


def ask(package: Path, text: str) -> tuple[list[str], list[float]]:
    temperature = yaml.safe_load((package / "model.yaml").read_text())["temperature"]
    tokenizer = Tokenizer.from_file(str(package / "tokenizer.json"))
    session = onnxruntime.InferenceSession(str(package / "model.onnx"))
    encoding = tokenizer.encode(text)
    ids = np.array([encoding.ids])
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    powers = [math.exp(value / temperature) for value in np.asarray(logits)[0].tolist()]
    return encoding.tokens, [power / sum(powers) for power in powers]


def test_a_package_holds_its_files_and_nothing_else(package: Path) -> None:
    assert {path.name for path in package.iterdir()} == FILES
    beside = {path.name for path in package.parent.iterdir()}
    assert beside == {"1", "routing.yaml", "events.jsonl"}


def test_the_first_version_takes_all_traffic_and_is_recorded(package: Path) -> None:
    routing = yaml.safe_load((package.parent / "routing.yaml").read_text())
    lines = (package.parent / "events.jsonl").read_text().splitlines()

    assert (routing["versions"], routing["shadow"]) == ({"1": 100}, [])
    assert [json.loads(line)["by"] for line in lines] == ["ada", "ada"]


def test_every_sealed_file_has_its_digest(package: Path, described: dict[str, Any]) -> None:
    assert set(described["files"]) == FILES - {"model.yaml", "MODEL_CARD.md"}
    for file, digest in described["files"].items():
        assert hashlib.sha256((package / file).read_bytes()).hexdigest() == digest


def test_the_manifest_says_what_a_server_needs(described: dict[str, Any]) -> None:
    assert described["format"] == 1
    assert (described["name"], described["version"]) == ("toy", "1")
    assert described["task"] == "text-classification"
    assert described["labels"] == ["negative", "positive"]
    assert described["inputs"] == {
        "kind": "text",
        "max_characters": 5000,
        "max_tokens": 48,
        "truncation": "head",
    }
    assert described["quantisation"] == "static"
    assert described["batching"] == {
        "independent": True,
        "max_items": 16,
        "max_padded_tokens": 2048,
    }
    assert described["temperature"] > 0
    assert described["golden_tolerance"] == 0.01
    assert described["projection"] == {"output": "projection", "dimensions": 32}


def test_the_manifest_says_where_the_weights_come_from(
    described: dict[str, Any], train_file: Path, prepared_dev: Path
) -> None:
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (train_file, prepared_dev)]

    assert described["data"] == [
        {"name": "toys", "split": "train", "rows": 320, "sha256": digests[0]},
        {"name": "toys", "split": "dev", "rows": 60, "sha256": digests[1]},
    ]
    assert (described["base_model"], described["licence"]) == ("tiny-bert", "Apache-2.0")
    assert described["training"]["training"]["epochs"] == 6
    assert described["training"]["training"]["seed"] == 7
    for digest in ("recipe_sha256", "dataset_sha256", "code_sha256"):
        assert len(described["training"][digest]) == 64


def test_the_model_learnt_and_its_metrics_are_those_of_its_answers(
    described: dict[str, Any],
    dev_rows: list[dict[str, Any]],
    answers: list[tuple[list[str], list[float]]],
) -> None:
    metrics = described["metrics"]["toys dev"]
    predicted = [int(probabilities[1] > probabilities[0]) for _, probabilities in answers]
    right = [label == row["label"] for label, row in zip(predicted, dev_rows, strict=True)]

    assert metrics["rows"] == 60
    assert metrics["accuracy"] == pytest.approx(sum(right) / 60, abs=1e-6)
    assert metrics["accuracy"] > 0.9
    assert (
        metrics["labels_sha256"]
        == hashlib.sha256("".join(map(str, predicted)).encode()).hexdigest()
    )
    assert metrics["mean_confidence"] == pytest.approx(
        statistics.fmean(max(probabilities) for _, probabilities in answers), abs=1e-5
    )


def test_the_reference_is_that_of_the_dev_rows(
    package: Path, answers: list[tuple[list[str], list[float]]]
) -> None:
    reference = json.loads((package / "reference.json").read_text())
    unknown = np.array([tokens.count("[UNK]") for tokens, _ in answers])
    words = np.array([len(tokens) - 2 for tokens, _ in answers])
    positives = sum(probabilities[1] > probabilities[0] for _, probabilities in answers)

    assert reference["format"] == 2
    assert (reference["model"], reference["model_version"]) == ("toy", "1")
    assert (reference["source"], reference["rows"]) == ("toys dev", 60)
    assert unknown.sum() > 0
    assert reference["signals"]["unknown_token_rate"] == {
        "kind": "ratio",
        "group": "text",
        "rows": 60,
        "numerator": unknown.sum(),
        "denominator": words.sum(),
        "numerator_squared": (unknown**2).sum(),
        "denominator_squared": (words**2).sum(),
        "product": (unknown * words).sum(),
    }
    assert reference["signals"]["label"] == {
        "kind": "category",
        "group": "output",
        "counts": {"negative": 60 - positives, "positive": positives},
        "other": 0,
    }


@pytest.mark.parametrize("signal", ["input_tokens", "confidence"])
def test_a_number_is_kept_as_moments_and_a_sketch(
    package: Path, answers: list[tuple[list[str], list[float]]], signal: str
) -> None:
    number = json.loads((package / "reference.json").read_text())["signals"][signal]
    values = [
        float(len(tokens)) if signal == "input_tokens" else max(probabilities)
        for tokens, probabilities in answers
    ]
    sketch = kll_floats_sketch.deserialize(base64.b64decode(number["kll"]))

    assert (number["kind"], number["rows"], sketch.n, sketch.k) == ("number", 60, 60, 400)
    assert number["mean"] == pytest.approx(np.mean(values), abs=1e-6)
    assert number["variance"] == pytest.approx(np.var(values, ddof=1), rel=1e-3)
    assert (number["minimum"], number["maximum"]) == pytest.approx((min(values), max(values)))
    assert sketch.get_quantile(0.5) == pytest.approx(np.median(values), rel=0.05)


def test_golden_examples_repeat(package: Path) -> None:
    rows = [json.loads(line) for line in (package / "golden.jsonl").read_text().splitlines()]

    assert len(rows) >= 10
    for row in rows:
        _, probabilities = ask(package, row["text"])
        assert list(row["probabilities"]) == ["negative", "positive"]
        assert list(row["probabilities"].values()) == pytest.approx(probabilities, abs=1e-5)


def test_the_tokenizer_cuts_at_the_limit_and_never_pads(package: Path) -> None:
    tokenizer = Tokenizer.from_file(str(package / "tokenizer.json"))

    assert len(tokenizer.encode("film").ids) == 3
    assert len(tokenizer.encode("film " * 100).ids) == 48
    assert tokenizer.padding is None


def test_the_card_states_the_figures_and_the_commands(
    package: Path, described: dict[str, Any]
) -> None:
    card = (package / "MODEL_CARD.md").read_text()
    judged = described["calibration"]["held_out"]

    assert f"| accuracy | {described['metrics']['toys dev']['accuracy']} |" in card
    assert f"| log loss | {judged['log_loss_before']:.4f} | " in card
    for step in ("prepare", "fit", "export", "register"):
        assert f"weir-train {step} " in card
    assert "an answer does not depend on its mates" in card
    assert "Only the first 48 tokens of a text count" in card
    assert described["base_model_sha256"] in card
    assert "{" not in card


def test_no_file_names_a_path_of_the_machine(package: Path, built: Path) -> None:
    for path in package.iterdir():
        assert str(built.parent).encode() not in path.read_bytes(), path.name


def test_a_package_can_be_read_by_other_users(package: Path) -> None:
    assert package.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in package.iterdir())

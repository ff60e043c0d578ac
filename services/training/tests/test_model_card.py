"""What a card says of packages of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from training.model_card import model_card


@pytest.fixture(scope="module")
def described(package: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((package / "model.yaml").read_text())
    return content


@pytest.mark.parametrize(
    ("quantisation", "independent", "said"),
    [
        ("static", True, "scales of activations are constants"),
        ("dynamic", False, "**Run each text alone"),
        ("none", True, "weights and activations are float32"),
    ],
)
def test_a_card_says_how_the_graph_is_to_be_run(
    described: dict[str, Any], quantisation: str, independent: bool, said: str
) -> None:
    batching = {**described["batching"], "independent": independent}
    card = model_card({**described, "quantisation": quantisation, "batching": batching})

    assert said in card
    assert ("Run each text alone" in card) is not independent
    assert f"--quantisation {quantisation}\n" in card


@pytest.mark.parametrize(
    ("truncation", "said"),
    [("head", "Only the first 48"), ("tail", "Only the last 48"), ("head_tail", "the middle")],
)
def test_a_card_says_what_of_a_long_text_counts(
    described: dict[str, Any], truncation: str, said: str
) -> None:
    inputs = {**described["inputs"], "truncation": truncation}

    assert said in model_card({**described, "inputs": inputs})


def test_a_card_says_what_the_confidence_is_worth(described: dict[str, Any]) -> None:
    calibration = described["calibration"]
    fitted = {**calibration, "temperature": {**calibration["temperature"], "determined": True}}
    unclear = {**calibration, "temperature": {**calibration["temperature"], "determined": False}}

    assert "divided by 1.5" in model_card({**described, "temperature": 1.5, "calibration": fitted})
    assert "No temperature is best" in model_card({**described, "calibration": unclear})
    without = {key: of for key, of in described.items() if key != "calibration"}
    assert "too few rows to fit a temperature" in model_card(without)


@pytest.mark.parametrize(
    ("registered", "said"),
    [
        ({"accuracy": 0.9}, "It was the first version"),
        (
            {"accuracy": 0.9, "version": "1", "production_accuracy": 0.875},
            "was 0.9000, and that of version 1, then in production, 0.8750",
        ),
        (
            {"accuracy": 0.9, "version": "1", "unscored": "it was broken"},
            "It was not compared with version 1",
        ),
    ],
)
def test_a_card_says_what_the_version_was_compared_with(
    described: dict[str, Any], registered: dict[str, Any], said: str
) -> None:
    assert said in model_card({**described, "registered": registered})

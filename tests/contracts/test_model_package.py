"""The package that comes with the repository suits everyone who reads it."""

import json
from pathlib import Path

import pytest
import yaml

from drift.domain import ModelVersion
from drift.reference_repository import ReferenceRepository
from inference.domain import Caller, Item
from inference.model_repository import load_repository

LARGEST_BYTES = 25_000_000


@pytest.fixture
def package(models: Path) -> Path:
    return models / "sentiment" / "1"


def test_inference_takes_it(models: Path) -> None:
    repository = load_repository(models)
    model = repository.versions("sentiment")["1"].model
    (scored,) = model.run([model.prepare(Item("A triumph.", Caller("", ""), ""))])
    assert scored.probabilities["positive"] > 0.5


def test_drift_takes_its_reference(models: Path) -> None:
    reference = ReferenceRepository(models).find(ModelVersion("sentiment", "1"))
    assert reference.window.rows > 0


def test_it_is_small_enough_to_commit_and_says_how_good_it_is(package: Path) -> None:
    assert sum(file.stat().st_size for file in package.iterdir()) <= LARGEST_BYTES
    manifest = yaml.safe_load((package / "model.yaml").read_text())
    assert any(metrics["accuracy"] >= 0.885 for metrics in manifest["metrics"].values())
    assert (package / "MODEL_CARD.md").exists()


def test_reference_holds_no_text(package: Path) -> None:
    reference = json.loads((package / "reference.json").read_text())
    allowed = {
        *("kind", "group", "kll", "rows", "mean", "variance", "minimum", "maximum"),
        *("counts", "other", "numerator", "denominator", "product"),
        *("numerator_squared", "denominator_squared", "hashes", "dimensions", "keys", "values"),
        *("scales", "confidences", "outcomes", "unknown_tokens", "tokens"),
        *("sum_unknown_squared", "sum_tokens_squared", "sum_unknown_times_tokens"),
    }
    for signal in reference["signals"].values():
        assert signal.keys() <= allowed

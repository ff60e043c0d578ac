"""The package that comes with the repository suits everyone who reads it."""

import json
from pathlib import Path

import pytest
import yaml

from drift.domain import ModelVersion
from drift.reference_repository import ReferenceRepository
from inference.domain import Caller, Item
from inference.model_repository import load_repository

LARGEST_GRAPH = 20_000_000
VERSION = "2"


@pytest.fixture
def package(models: Path) -> Path:
    return models / "sentiment" / VERSION


def test_inference_takes_it(models: Path) -> None:
    repository = load_repository(models)
    model = repository.versions("sentiment")[VERSION].model
    (scored,) = model.run([model.prepare(Item("A triumph.", Caller("", ""), ""))])
    assert scored.probabilities["positive"] > 0.5


def test_drift_takes_its_reference(models: Path) -> None:
    reference = ReferenceRepository(models).find(ModelVersion("sentiment", VERSION))
    assert reference.window.rows > 0


def test_all_traffic_goes_to_it(package: Path) -> None:
    routing = yaml.safe_load((package.parent / "routing.yaml").read_text())
    assert (routing["versions"], routing["stages"]["production"]) == ({VERSION: 100}, VERSION)


def test_it_is_small_and_says_how_good_it_is(package: Path) -> None:
    assert (package / "model.onnx").stat().st_size <= LARGEST_GRAPH
    manifest = yaml.safe_load((package / "model.yaml").read_text())
    accuracy = {name: about["accuracy"] for name, about in manifest["metrics"].items()}
    assert accuracy["imdb dev"] >= 0.90
    assert accuracy["customer dev"] >= 0.88
    assert accuracy["sst2 dev"] >= 0.895
    assert manifest["calibration"]["held_out"]["ece_after"] <= 0.03
    assert manifest["temperature"] != 1
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

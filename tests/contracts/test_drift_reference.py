"""Training, inference and drift mean the same by a signal."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from drift import signals
from drift.domain import ModelVersion
from drift.reference_repository import ReferenceRepository
from inference import projection

ABOUT = ModelVersion("reviews", "1")


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports modules of training that need neither torch nor onnxruntime."""
    source = Path(__file__).resolve().parents[2] / "services" / "training" / "src"
    monkeypatch.syspath_prepend(str(source))

    def load(module: str) -> ModuleType:
        return importlib.import_module(f"training.{module}")

    return load


def test_drift_reads_what_training_writes(training: Any, tmp_path: Path) -> None:
    domain, reference = training("domain"), training("reference")
    random = np.random.default_rng(5)
    states = random.standard_normal((3000, 64)).astype(np.float32)
    predictions, examples = [], []
    for number, found in enumerate(projection.projections(states, len(states))):
        assert found is not None
        sure = float(random.uniform(0.5, 1))
        predictions.append(
            domain.Prediction((1 - sure, sure), 12, 2, number % 2, found.values, found.scale)
        )
        examples.append(domain.Example(f"text {number // 2}", int(random.random() < sure)))
    text = reference.reference_text(
        predictions, examples, ["negative", "positive"], model="reviews", version="1", source="made"
    )
    directory = tmp_path / "reviews" / "1"
    directory.mkdir(parents=True)
    (directory / "reference.json").write_text(text)

    read = ReferenceRepository(tmp_path).find(ABOUT)
    assert read.window.rows == 3000
    assert set(read.window.signals) == {
        signals.INPUT_TOKENS,
        signals.UNKNOWN_TOKEN_RATE,
        signals.SCRIPT,
        signals.MIXED_SCRIPT_RATE,
        signals.DUPLICATES,
        signals.LABEL,
        signals.CONFIDENCE,
        signals.ENTROPY,
        signals.MARGIN,
        signals.PROJECTION,
    }
    vectors, repeated = read.window.vectors(), read.window.distinct()
    assert vectors is not None
    assert repeated is not None
    assert vectors.vectors().shape == (2048, 64)
    assert vectors.vectors().std() == pytest.approx(1, abs=0.02)
    assert repeated.duplicate_rate() == pytest.approx(0.5)
    assert read.known is not None
    assert read.known.accuracy.value == pytest.approx(0.75, abs=0.03)
    assert read.known.accuracy.lower < 0.75 < read.known.accuracy.upper
    assert json.loads(text)["format"] == 2

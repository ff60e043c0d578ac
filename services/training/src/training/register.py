"""Makes an immutable package of an exported model, if it earns its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import onnxruntime

from training.dev_sets import dev_sets
from training.domain import Dataset, Prediction, Refused
from training.exported import Exported, read_exported
from training.float_noise import with_float_noise
from training.golden import golden_text
from training.model_card import model_card
from training.onnx_classifier import exported_classifier
from training.package import MAX_CHARACTERS, check_name, manifest, write_files
from training.packaged_model import self_test
from training.production_gate import Comparison, compare_with_production, mean_accuracy
from training.reference import reference_text
from training.repository import Repository, check_free
from training.routing import Signature
from training.stages import record_registration
from training.tokenizer import load_tokenizer
from training.training_record import TOKENIZER, TrainingRecord, finished_model, read_record
from training.truncation import set_truncation

Say = Callable[[str], None]

# How many imitated CPUs the graph is asked on.
NOISE_SEEDS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """What shall be registered, and how far below production it may be (points of accuracy).

    ``unscored``: why it may be registered although production cannot be asked.
    """

    name: str
    version: str
    margin: float = 0.5
    unscored: str | None = None


def register(
    run: Path,
    dev_path: Path,
    repository: Repository,
    candidate: Candidate,
    signature: Signature,
    now: datetime,
    say: Say,
) -> str:
    """Write the package of an exported run, and return its location.

    ``dev_path`` is a file of labelled rows, or a prepared data set. Raises InputError for what
    cannot be used, Refused for a graph that failed its checks, a package that fails its self-test
    or is worse than production allows, and StorageError when it cannot be written. Nothing of the
    package is visible then.
    """
    name, version = candidate.name, candidate.version
    check_name(name, version)
    check_free(repository, name, version)
    model = finished_model(run)
    record, exported = read_record(model), read_exported(model)
    if exported.failed:
        raise Refused(f"{model}: " + "; ".join(map(str, exported.failed)))
    dev = dev_sets(dev_path, exported.labels)

    classifier = exported_classifier(exported)
    answers = []
    for part in dev:
        say(f"asking {len(part.examples)} rows of {part.title}, each text alone")
        answers.append([classifier.predict(row.text) for row in part.examples])
    comparison = compare_with_production(
        repository,
        name,
        exported.labels,
        dev,
        mean_accuracy(dev, answers),
        margin=candidate.margin,
        unscored=candidate.unscored,
        say=say,
    )
    described = _described(candidate, record, exported, comparison, now)
    texts = _texts(described, exported, dev, [each for part in answers for each in part])
    with repository.staging(name, version) as stage:
        write_files(stage, exported.graph, texts, described)
        say("asking the package its golden examples")
        self_test(stage)
    record_registration(repository, name, version, signature, comparison.fields())
    return repository.location(name, version)


def _described(
    candidate: Candidate,
    record: TrainingRecord,
    exported: Exported,
    comparison: Comparison,
    now: datetime,
) -> dict[str, Any]:
    train = [asdict(of) for of in record.data]
    return manifest(
        name=candidate.name,
        version=candidate.version,
        labels=exported.labels,
        inputs=exported.inputs(MAX_CHARACTERS),
        serving=exported.serving(),
        metrics=exported.metrics,
        calibration=exported.confidence,
        data=[*train, *(dict(of) for of in exported.data)],
        base_model=record.base_model,
        base_model_sha256=record.base_model_sha256,
        licence=record.licence,
        created_at=now,
        registered=comparison.fields(),
        training=_training(record),
    )


def _texts(
    described: Mapping[str, Any],
    exported: Exported,
    dev: tuple[Dataset, ...],
    answers: list[Prediction],
) -> dict[str, str]:
    """The package's other files by name."""
    tokenizer = load_tokenizer(exported.directory / TOKENIZER, exported.max_tokens)
    set_truncation(tokenizer, exported.max_tokens, exported.truncation)
    noisy = [
        exported_classifier(exported, with_float_noise(exported.graph, seed)).predict
        for seed in range(NOISE_SEEDS)
    ]
    return {
        "tokenizer.json": tokenizer.to_str(pretty=False) + "\n",
        "reference.json": reference_text(
            answers,
            [row for part in dev for row in part.examples],
            exported.labels,
            model=described["name"],
            version=described["version"],
            source=", ".join(part.title for part in dev),
        ),
        "golden.jsonl": golden_text(
            exported_classifier(exported).predict,
            noisy,
            exported.labels,
            tolerance=exported.golden_tolerance,
        ),
        "MODEL_CARD.md": model_card(described),
    }


def _training(record: TrainingRecord) -> dict[str, Any]:
    """What is needed to repeat the training: the recipe without paths of bases, and digests."""
    recipe = record.recipe.model_dump(mode="json", include={"model", "training", "distillation"})
    recipe["model"]["base"] = record.base_model
    if recipe["distillation"]:
        recipe["distillation"]["teacher"] = Path(recipe["distillation"]["teacher"]).name
    return {
        **recipe,
        "recipe_sha256": record.recipe_sha256,
        "layers": list(record.layers),
        "vocabulary": record.vocabulary,
        "teacher_sha256": record.teacher_sha256,
        "dataset_sha256": record.dataset_sha256,
        "code_sha256": record.code_sha256,
        "steps": record.steps,
        "best_step": record.best_step,
        "seconds": record.seconds,
        "threads": record.threads,
        "device": record.device,
        "precision": record.precision,
        "torch": record.torch,
        "transformers": record.transformers,
        "onnxruntime": onnxruntime.__version__,
    }

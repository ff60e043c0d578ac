"""Makes a package of a finished model: export, fuse, quantise, evaluate, describe, write."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import onnxruntime

from training.dev_sets import dev_sets
from training.domain import Dataset, InputError, Prediction
from training.evaluate import (
    Evaluation,
    accuracy,
    agreement,
    changed_labels,
    evaluate,
    labels_sha256,
    macro_f1,
    mean_confidence,
)
from training.float_noise import with_float_noise
from training.golden import golden_text
from training.model_card import model_card
from training.onnx_classifier import OnnxClassifier
from training.onnx_export import export_onnx
from training.package import (
    GOLDEN_TOLERANCE,
    MAX_CHARACTERS,
    check_target,
    manifest,
    write_package,
)
from training.quantise import fuse, quantise
from training.reference import reference_text
from training.text_classifier import load_classifier
from training.tokenizer import load_tokenizer
from training.training_record import (
    TOKENIZER,
    DataRecord,
    TrainingRecord,
    finished_model,
    read_record,
)

Say = Callable[[str], None]

# How many imitated CPUs the int8 model is asked on.
NOISE_SEEDS = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Where the package goes: ``<root>/<name>/<version>``."""

    root: Path
    name: str
    version: str


def make_package(
    run: Path,
    dev_path: Path,
    target: Target,
    now: Callable[[], datetime],
    say: Say,
) -> Path:
    """Export, fuse, quantise and evaluate a run's model and write its package; return that.

    ``dev_path`` is a file of labelled rows, or a prepared data set, whose dev rows are then
    measured source by source. The float and int8 graphs stay beside the model. Raises InputError
    for a run, data or target that cannot be used, ExportError when a graph is not what it must be.
    """
    check_target(target.root, target.name, target.version)
    model = finished_model(run)
    record = read_record(model)
    if record.recipe.model.truncation != "head":
        raise InputError(f"{run}: cuts texts as {record.recipe.model.truncation}; servers as head")
    dev = dev_sets(dev_path, record.labels)
    say("exporting, fusing and quantising")
    fused, int8 = _graphs(model)

    tokenizer = load_tokenizer(model / TOKENIZER, record.recipe.model.max_tokens)
    classifier = OnnxClassifier(int8, tokenizer)
    noisy = [
        OnnxClassifier(with_float_noise(int8, seed), tokenizer).predict
        for seed in range(NOISE_SEEDS)
    ]
    metrics: dict[str, dict[str, Any]] = {}
    predictions: list[Prediction] = []
    for part in dev:
        say(f"evaluating on {len(part.examples)} rows of {part.title}, each text alone")
        floats = evaluate(
            OnnxClassifier(fused, tokenizer).predict, part.examples, time.perf_counter
        )
        ints = evaluate(classifier.predict, part.examples, time.perf_counter)
        # Which answers depend on the float arithmetic of this CPU.
        elsewhere = [[predict(row.text) for row in part.examples] for predict in noisy]
        metrics[part.title] = {
            **_metrics(floats, ints, part),
            "noise_changed_labels": changed_labels(ints.predictions, elsewhere),
        }
        predictions += ints.predictions
        say(
            f"{part.title}: accuracy {metrics[part.title]['fp32_accuracy']:.4f} fp32, "
            f"{metrics[part.title]['accuracy']:.4f} int8"
        )

    described = manifest(
        name=target.name,
        version=target.version,
        labels=record.labels,
        inputs={
            "kind": "text",
            "max_characters": MAX_CHARACTERS,
            "max_tokens": record.recipe.model.max_tokens,
        },
        serving={"golden_tolerance": GOLDEN_TOLERANCE},
        metrics=metrics,
        data=[asdict(of) for of in (*record.data, *map(DataRecord.of, dev))],
        base_model=record.base_model,
        base_model_sha256=record.base_model_sha256,
        licence=record.licence,
        created_at=now(),
        training=_training(record),
    )
    texts = {
        "tokenizer.json": tokenizer.to_str(pretty=False) + "\n",
        "reference.json": reference_text(
            predictions,
            record.labels,
            model=target.name,
            version=target.version,
            source=", ".join(part.title for part in dev),
        ),
        "golden.jsonl": golden_text(
            classifier.predict, noisy, record.labels, tolerance=GOLDEN_TOLERANCE
        ),
        "MODEL_CARD.md": model_card(described),
    }
    return write_package(target.root, int8, texts, described)


def _graphs(directory: Path) -> tuple[Path, Path]:
    """Write the traced, the fused and the int8 graph beside a model; return the last two."""
    model = load_classifier(directory, attention="eager")
    if model.config.model_type != "bert":
        raise InputError(f"{directory}: a {model.config.model_type} model; only BERT is fused")
    traced, fused, int8 = (directory / f"{step}.onnx" for step in ("traced", "fused", "int8"))
    layers = int(model.config.num_hidden_layers)
    export_onnx(model, traced)
    fuse(
        traced,
        fused,
        layers=layers,
        heads=int(model.config.num_attention_heads),
        hidden_size=int(model.config.hidden_size),
    )
    quantise(fused, int8, layers=layers)
    return fused, int8


def _metrics(floats: Evaluation, ints: Evaluation, dev: Dataset) -> dict[str, Any]:
    """What the package says of the int8 model, and of the float model that it stands for."""
    shares = {
        "accuracy": accuracy(ints.predictions, dev.examples),
        "f1": macro_f1(ints.predictions, dev.examples),
        "mean_confidence": mean_confidence(ints.predictions),
        "fp32_accuracy": accuracy(floats.predictions, dev.examples),
        "agreement": agreement(ints.predictions, floats.predictions),
    }
    return {
        "rows": len(dev.examples),
        **{name: round(value, 6) for name, value in shares.items()},
        "latency_ms_median": round(ints.median_ms, 2),
        "fp32_latency_ms_median": round(floats.median_ms, 2),
        "labels_sha256": labels_sha256(ints.predictions),
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

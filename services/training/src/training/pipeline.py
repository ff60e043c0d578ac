"""The two halves of a build: rows to checkpoint, checkpoint to package.

They meet in a directory, so that a package can be made again without training again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import onnxruntime
import torch
import transformers

from training.base_model import BaseModel
from training.checkpoint import (
    TOKENIZER,
    DataRecord,
    TrainingRecord,
    read_record,
    write_record,
)
from training.dataset import read_dataset
from training.domain import Dataset, Recipe
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
from training.fine_tune import Step, fine_tune, load_base
from training.float_noise import with_float_noise
from training.golden import golden_text
from training.model_card import model_card
from training.onnx_classifier import OnnxClassifier
from training.onnx_export import export_onnx
from training.package import GOLDEN_TOLERANCE, check_target, manifest, write_package
from training.quantise import fuse, quantise
from training.reference import reference_text
from training.tokenizer import load_tokenizer

Say = Callable[[str], None]

# How many imitated CPUs the int8 model is asked on.
NOISE_SEEDS = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Where the package goes: ``<root>/<name>/<version>``."""

    root: Path
    name: str
    version: str


def make_checkpoint(
    base: BaseModel,
    train: Dataset,
    labels: tuple[str, ...],
    recipe: Recipe,
    directory: Path,
    on_step: Callable[[Step], None],
) -> None:
    """Fine-tune and leave weights, tokenizer and training record in ``directory``."""
    _quiet_transformers()
    tokenizer = load_tokenizer(base.directory / TOKENIZER, recipe.max_tokens)
    started = time.monotonic()
    model = fine_tune(base.directory, tokenizer, train.examples, labels, recipe, on_step)
    record = TrainingRecord.of(
        base,
        train,
        labels,
        recipe,
        seconds=time.monotonic() - started,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        transformers=transformers.__version__,
    )
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
    write_record(directory, record)


def make_package(
    checkpoint: Path,
    dev_path: Path,
    target: Target,
    now: Callable[[], datetime],
    say: Say,
) -> Path:
    """Export, fuse, quantise and evaluate a checkpoint and write its package; return its directory.

    The float and int8 graphs stay in the checkpoint. Raises InputError for a checkpoint, data or
    target that cannot be used, ExportError when a graph is not what it must be.
    """
    _quiet_transformers()
    check_target(target.root, target.name, target.version)
    record = read_record(checkpoint)
    dev = read_dataset(dev_path, record.labels)
    say("exporting, fusing and quantising")
    fused, int8 = _graphs(checkpoint, record)

    tokenizer = load_tokenizer(checkpoint / TOKENIZER, record.recipe.max_tokens)
    classifier = OnnxClassifier(int8, tokenizer)
    say(f"evaluating on {len(dev.examples)} rows, each text alone")
    floats = evaluate(OnnxClassifier(fused, tokenizer).predict, dev.examples, time.perf_counter)
    ints = evaluate(classifier.predict, dev.examples, time.perf_counter)
    noisy = [
        OnnxClassifier(with_float_noise(int8, seed), tokenizer).predict
        for seed in range(NOISE_SEEDS)
    ]
    say("asking which answers depend on the float arithmetic of this CPU")
    elsewhere = [[predict(row.text) for row in dev.examples] for predict in noisy]
    metrics = {
        **_metrics(floats, ints, dev),
        "noise_changed_labels": changed_labels(ints.predictions, elsewhere),
    }
    say(f"accuracy {metrics['fp32_accuracy']:.4f} fp32, {metrics['accuracy']:.4f} int8")

    described = manifest(
        name=target.name,
        version=target.version,
        labels=record.labels,
        max_tokens=record.recipe.max_tokens,
        metrics={dev.title: metrics},
        data=[asdict(record.data), asdict(DataRecord.of(dev))],
        base_model=record.base_model,
        base_model_sha256=record.base_model_sha256,
        licence=record.licence,
        created_at=now(),
        training=_training(record),
    )
    texts = {
        "tokenizer.json": tokenizer.to_str(pretty=False) + "\n",
        "reference.json": reference_text(
            ints.predictions,
            record.labels,
            model=target.name,
            version=target.version,
            source=dev.title,
        ),
        "golden.jsonl": golden_text(
            classifier.predict, noisy, record.labels, tolerance=GOLDEN_TOLERANCE
        ),
        "MODEL_CARD.md": model_card(described),
    }
    return write_package(target.root, int8, texts, described)


def _graphs(checkpoint: Path, record: TrainingRecord) -> tuple[Path, Path]:
    """Write the traced, the fused and the int8 graph into the checkpoint; return the last two."""
    model = load_base(checkpoint, record.labels)
    model.eval()
    traced, fused, int8 = (checkpoint / f"{step}.onnx" for step in ("traced", "fused", "int8"))
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
    return {
        **asdict(record.recipe),
        "seconds": record.seconds,
        "threads": record.threads,
        "torch": record.torch,
        "transformers": record.transformers,
        "onnxruntime": onnxruntime.__version__,
    }


def _quiet_transformers() -> None:
    # Its loading bars and its report on a new, untrained head would be all that a user sees.
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

"""Opens what can be evaluated: a run's model as torch or as a graph, or a package."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from tokenizers import Tokenizer

from training.domain import Example, InputError
from training.encoded_rows import EncodedRow, encode_rows
from training.exported import EXPORT, FUSED, INT8, read_exported
from training.graph_scoring import graph_logits, is_dynamic
from training.precision import choose_device
from training.probabilities import Logits
from training.progress import Progress
from training.provenance import file_sha256
from training.repository import MANIFEST
from training.text_classifier import load_classifier
from training.tokenizer import load_tokenizer
from training.torch_scoring import torch_logits
from training.training_record import TOKENIZER, finished_model, read_record
from training.truncation import Truncation

Graph = Literal["torch", "fp32", "int8"]
WEIGHTS = "model.safetensors"
TASK = "text-classification"
# On a GPU or a core alike: enough rows to keep it busy, few enough to fit.
TORCH_ROWS, TORCH_TOKENS = 64, 8192


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """A model that can be asked for the logits of rows.

    ``description`` names it in reports: kind, name, version, graph, digests of the graph and of
    the prepared data that it was trained on; no path.
    """

    description: Mapping[str, Any]
    labels: tuple[str, ...]
    temperature: float
    tokenizer: Tokenizer
    max_tokens: int
    truncation: str
    score: Callable[[Sequence[EncodedRow], Progress], Logits]

    def encode(self, examples: Sequence[Example], progress: Progress) -> list[EncodedRow]:
        """Token ids of the rows, cut as this model was trained."""
        return encode_rows(
            self.tokenizer,
            examples,
            max_tokens=self.max_tokens,
            truncation=self.truncation,
            progress=progress,
            title="tokenising",
        )


def open_model(path: Path, graph: Graph | None) -> ScoredModel:
    """Open a package (it has one graph) or a finished run (torch, unless ``graph`` says another).

    Raises InputError when it is neither, or has no such graph.
    """
    if (path / MANIFEST).is_file():
        return _package(path, graph)
    try:
        directory = finished_model(path)
    except InputError as exc:
        raise InputError(f"{path}: neither a package (no {MANIFEST}) nor a finished run") from exc
    return _run(directory, graph or "torch", path.resolve().name)


def _package(path: Path, graph: Graph | None) -> ScoredModel:
    manifest = path / MANIFEST
    try:
        described = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        name, version = str(described["name"]), str(described["version"])
        if described["task"] != TASK:
            raise InputError(f"{manifest}: task {described['task']}; only {TASK} is evaluated")
        labels = tuple(map(str, described["labels"]))
        limits = described["inputs"]
        max_tokens, truncation = int(limits["max_tokens"]), limits.get("truncation", "head")
        temperature = float(described.get("temperature", 1.0))
        # The first packages did not say it: they are dynamically quantised.
        quantisation = str(described.get("quantisation", "dynamic"))
        independent = bool(described.get("batching", {}).get("independent", False))
        digests = dict(described["files"])
        trained_on = described.get("training", {}).get("dataset_sha256")
        if truncation not in get_args(Truncation) or not 0 < temperature < math.inf:
            raise ValueError
    except OSError as exc:
        raise InputError(f"{manifest}: cannot be read ({exc.strerror})") from exc
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InputError(f"{manifest}: not the manifest of a package") from exc
    own: Graph = "fp32" if quantisation == "none" else "int8"
    if graph not in (None, own):
        raise InputError(f"{path}: a package with the graph {own}, not {graph}; give its run")
    for file in ("model.onnx", TOKENIZER):
        if not (path / file).is_file() or file_sha256(path / file) != digests.get(file):
            raise InputError(f"{path / file}: missing, or not the file that {MANIFEST} names")
    return ScoredModel(
        description={
            "kind": "package",
            "name": name,
            "version": version,
            "graph": own,
            "quantisation": quantisation,
            "sha256": digests["model.onnx"],
            "trained_on_sha256": trained_on,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "truncation": truncation,
        },
        labels=labels,
        temperature=temperature,
        tokenizer=load_tokenizer(path / TOKENIZER, max_tokens),
        max_tokens=max_tokens,
        truncation=truncation,
        score=lambda rows, progress: graph_logits(
            path / "model.onnx",
            rows,
            independent=independent,
            progress=progress,
            title="scoring model.onnx",
        ),
    )


def _run(directory: Path, graph: Graph, name: str) -> ScoredModel:
    record = read_record(directory)
    model = record.recipe.model
    weights = directory / {"torch": WEIGHTS, "fp32": FUSED, "int8": INT8}[graph]
    if not weights.is_file():
        missing = f"{directory}: no {weights.name}"
        raise InputError(missing if graph == "torch" else f"{missing}; run weir-train export first")
    temperature, quantisation = 1.0, "none"
    if graph == "int8":
        quantisation = "dynamic" if is_dynamic(weights) else "static"
    if (directory / EXPORT).is_file():
        exported = read_exported(directory)
        # It was fitted to the answers of the graph that is to be served.
        temperature = exported.temperature if exported.graph == weights else 1.0

    def score(rows: Sequence[EncodedRow], progress: Progress) -> Logits:
        if graph == "torch":
            return _score_torch(directory, rows, progress)
        independent = quantisation != "dynamic"
        title = f"scoring {weights.name}"
        return graph_logits(weights, rows, independent=independent, progress=progress, title=title)

    return ScoredModel(
        description={
            "kind": "run",
            "name": name,
            "version": None,
            "graph": graph,
            "quantisation": quantisation,
            "sha256": file_sha256(weights),
            "trained_on_sha256": record.dataset_sha256,
            "temperature": temperature,
            "max_tokens": model.max_tokens,
            "truncation": model.truncation,
        },
        labels=record.labels,
        temperature=temperature,
        tokenizer=load_tokenizer(directory / TOKENIZER, model.max_tokens),
        max_tokens=model.max_tokens,
        truncation=model.truncation,
        score=score,
    )


def _score_torch(directory: Path, rows: Sequence[EncodedRow], progress: Progress) -> Logits:
    device = choose_device()
    model = load_classifier(directory).to(device)
    with progress.task(f"scoring torch on {device.type}", len(rows), "tokens") as advance:
        return torch_logits(
            model,
            rows,
            rows_per_batch=TORCH_ROWS,
            tokens_per_batch=TORCH_TOKENS,
            device=device,
            advance=advance,
        )

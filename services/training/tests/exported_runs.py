"""Runs as ``fit`` and ``export`` leave them, with graphs made by hand: no torch, no training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from training.exported import Batching, Check, Exported, write_exported
from training.provenance import file_sha256
from training.recipe import Recipe
from training.training_record import DataRecord, TrainingRecord, write_record

from .conftest import BAD, GOOD, LABELS, OTHER, SPECIAL

WORDS = (*SPECIAL, *GOOD, *BAD, *OTHER)
PASSED = Check("fp32 parity", 1e-6, 1e-4, "at most")


def make_run(
    directory: Path, *, knows: Sequence[str] = (*GOOD, *BAD), labels: Sequence[str] = LABELS
) -> Path:
    """A run whose model knows the sentiment of some words, and takes all others for bad."""
    model = directory / "model"
    model.mkdir(parents=True)
    _write_graph(model / "fused.onnx", knows, list(labels).index("positive"))
    _write_tokenizer(model / "tokenizer.json")
    settings = {"data": {"sources": [{"name": "toys", "train": ["t.jsonl"], "dev": ["d.jsonl"]}]}}
    recipe = Recipe.model_validate(settings)
    write_record(model, _record(recipe, tuple(labels)))
    write_exported(_exported(model, tuple(labels)))
    return directory


def with_failed_check(run: Path) -> Path:
    """The same run, with a check of its export that did not pass."""
    path = run / "model" / "export.json"
    fields = json.loads(path.read_text())
    fields["checks"].append(dataclasses.asdict(Check("agreement", 0.97, 0.99, "at least")))
    path.write_text(json.dumps(fields))
    return run


def _write_graph(path: Path, knows: Sequence[str], positive: int) -> None:
    """Logits are sums over the words: known good ones count for positive, all else a little not."""
    weights = np.full((len(WORDS), 2), 0.0, np.float32)
    weights[:, 1 - positive] = 0.01
    for word in knows:
        weights[WORDS.index(word), positive if word in GOOD else 1 - positive] = 3.0
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["each", "wide"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["logits"], keepdims=0),
    ]
    axes = ("batch", "sequence")
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in
         ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", 2))],
        [
            numpy_helper.from_array(weights, "words"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


def _write_tokenizer(path: Path) -> None:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path))


def _record(recipe: Recipe, labels: tuple[str, ...]) -> TrainingRecord:
    return TrainingRecord(
        labels=labels,
        base_model="tiny-bert",
        base_model_sha256="1" * 64,
        licence="Apache-2.0",
        data=(DataRecord("toys", "train", 320, "2" * 64),),
        dataset_sha256="3" * 64,
        recipe=recipe,
        recipe_sha256="4" * 64,
        layers=(0, 1),
        vocabulary=len(WORDS),
        teacher_sha256=None,
        code_sha256="5" * 64,
        steps=10,
        best_step=5,
        metrics={"toys": {"accuracy": 0.9}},
        seconds=60.0,
        threads=1,
        device="cpu",
        precision="fp32",
        torch="0",
        transformers="0",
    )


def _exported(model: Path, labels: tuple[str, ...]) -> Exported:
    graph = model / "fused.onnx"
    return Exported(
        directory=model,
        quantisation="none",
        labels=labels,
        max_tokens=24,
        truncation="head_tail",
        temperature=1.5,
        batching=Batching(independent=True),
        projection=None,
        golden_tolerance=0.01,
        layers=2,
        vocabulary=len(WORDS),
        metrics={"toys dev": {"rows": 60, "accuracy": 0.25, "labels_sha256": "6" * 64}},
        data=({"name": "toys", "split": "dev", "rows": 60, "sha256": "7" * 64},),
        checks=(PASSED,),
        speed={},
        confidence=None,
        activations=None,
        files={graph.name: {"bytes": graph.stat().st_size, "sha256": file_sha256(graph)}},
    )

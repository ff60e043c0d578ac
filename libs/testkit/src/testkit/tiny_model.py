"""A model package of a few kilobytes that the test's own words decide."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

LABELS = ("negative", "positive")
_WEIGHTS = {
    "[PAD]": 0.0,
    "[UNK]": 0.0,
    "[CLS]": 0.0,
    "[SEP]": 0.0,
    "good": 4.0,
    "bad": -4.0,
    "day": 0.0,
}
_MAX_TOKENS = 16


def positive_probability(*words: str) -> float:
    """What the model answers: its words' mean weight, special tokens included, as a logit."""
    weights = [_WEIGHTS.get(word, 0.0) for word in words] + [0.0, 0.0]
    return 1.0 / (1.0 + math.exp(-sum(weights) / len(weights)))


def write_tiny_package(
    repository: Path, name: str = "sentiment", version: str = "1", **manifest: Any
) -> Path:
    """Writes a package and the routing that sends everything to it; returns its directory.

    Args:
        manifest: replaces parts of `model.yaml`.
    """
    directory = repository / name / version
    directory.mkdir(parents=True)
    onnx.save(_graph(), str(directory / "model.onnx"))
    _write_json(directory / "tokenizer.json", _tokenizer())
    _write_json(directory / "reference.json", _reference(name, version))
    (directory / "golden.jsonl").write_text(_golden(["good", "day"]) + _golden(["bad"]))
    write_manifest(directory, **manifest)
    write_routing(repository / name, {version: 100})
    return directory


def write_manifest(directory: Path, **replaced: Any) -> None:
    """Writes `model.yaml` with the hashes of the files that lie beside it."""
    files = ("model.onnx", "tokenizer.json", "reference.json", "golden.jsonl")
    manifest = {
        "format": 1,
        "name": directory.parent.name,
        "version": directory.name,
        "task": "text-classification",
        "labels": list(LABELS),
        "inputs": {"kind": "text", "max_characters": 5000, "max_tokens": _MAX_TOKENS},
        "golden_tolerance": 0.001,
        "files": {
            file: hashlib.sha256((directory / file).read_bytes()).hexdigest() for file in files
        },
    } | replaced
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest))


def write_routing(
    model_directory: Path, versions: Mapping[str, int], *, shadow: Sequence[str] = ()
) -> None:
    """Writes `routing.yaml`, all of it at once."""
    content = {"versions": dict(versions), "shadow": list(shadow)}
    stage = model_directory / ".routing.yaml"
    stage.write_text(yaml.safe_dump(content))
    stage.replace(model_directory / "routing.yaml")


def _golden(words: list[str]) -> str:
    positive = positive_probability(*words)
    probabilities = {"negative": 1.0 - positive, "positive": positive}
    return json.dumps({"text": " ".join(words), "probabilities": probabilities}) + "\n"


def _graph() -> onnx.ModelProto:
    """Builds logits = mean over tokens of an embedding whose columns are (0, weight)."""
    weights = np.array([[0.0, weight] for weight in _WEIGHTS.values()], dtype=np.float32)
    graph = helper.make_graph(
        nodes=[
            helper.make_node("Gather", ["weights", "input_ids"], ["embedded"]),
            helper.make_node("ReduceMean", ["embedded", "axes"], ["logits"], keepdims=0),
        ],
        name="tiny",
        inputs=[helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        outputs=[helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        initializer=[
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _tokenizer() -> dict[str, Any]:
    vocabulary = {word: index for index, word in enumerate(_WEIGHTS)}
    special = [
        {"id": vocabulary[token], "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", vocabulary["[SEP]"]],
            "cls": ["[CLS]", vocabulary["[CLS]"]],
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }


def _reference(name: str, version: str) -> dict[str, Any]:
    return {
        "format": 1,
        "model": name,
        "model_version": version,
        "source": "made by a test",
        "rows": 0,
        "signals": {},
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))

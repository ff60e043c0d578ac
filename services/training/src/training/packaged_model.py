"""A package as a server takes it: its model, and whether it still gives its golden answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from training.domain import Refused
from training.onnx_classifier import OnnxClassifier
from training.repository import MANIFEST
from training.tokenizer import load_tokenizer
from training.truncation import set_truncation


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """What of ``model.yaml`` decides the answers, and the classifier that gives them."""

    labels: tuple[str, ...]
    golden_tolerance: float
    classifier: OnnxClassifier


def load_packaged(directory: Path) -> PackagedModel:
    """Load a text model from its package. Raises Refused when it cannot be run."""
    try:
        described = yaml.safe_load((directory / MANIFEST).read_bytes())
        inputs = described["inputs"]
        if inputs["kind"] != "text":
            raise Refused(f"its inputs are {inputs['kind']}, not text")
        tokenizer = load_tokenizer(directory / "tokenizer.json", inputs["max_tokens"])
        set_truncation(tokenizer, inputs["max_tokens"], inputs.get("truncation", "head"))
        classifier = OnnxClassifier(
            directory / "model.onnx",
            tokenizer,
            max_tokens=inputs["max_tokens"],
            temperature=float(described.get("temperature", 1.0)),
        )
        labels = tuple(str(label) for label in described["labels"])
        return PackagedModel(labels, float(described["golden_tolerance"]), classifier)
    except Refused:
        raise
    # Whatever is wrong with a package, files, values or graph (onnxruntime has kinds of its own),
    # the model in it cannot be run.
    except Exception as exc:
        reason = " ".join(str(exc).split())
        raise Refused(f"it cannot be loaded ({type(exc).__name__}: {reason})") from exc


def self_test(directory: Path) -> None:
    """Ask a package its own golden examples, as a server does when it loads it.

    Raises Refused when there are none, or when a probability is further from the golden one than
    the package tolerates.
    """
    model = load_packaged(directory)
    lines = (directory / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    if not lines:
        raise Refused("self-test: there are no golden examples")
    for number, line in enumerate(lines, start=1):
        golden = json.loads(line)
        answer = dict(
            zip(model.labels, model.classifier.predict(golden["text"]).probabilities, strict=True)
        )
        worst = max(abs(answer[label] - of) for label, of in golden["probabilities"].items())
        if not worst <= model.golden_tolerance:
            raise Refused(
                f"self-test: golden example {number} is {worst:.4f} off; "
                f"tolerated are {model.golden_tolerance}"
            )

"""What a package must be before it may serve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.model_repository import load_repository
from inference.package import PackageInvalid
from testkit.tiny_model import write_manifest, write_routing, write_tiny_package


def truncate_model(directory: Path) -> None:
    model = directory / "model.onnx"
    model.write_bytes(model.read_bytes()[:100])


def truncate_model_and_sign_it(directory: Path) -> None:
    truncate_model(directory)
    write_manifest(directory)


def break_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{}")
    write_manifest(directory)


def expect_another_answer(directory: Path) -> None:
    golden = {"text": "good", "probabilities": {"negative": 0.9, "positive": 0.1}}
    (directory / "golden.jsonl").write_text(json.dumps(golden))
    write_manifest(directory)


FILES = dict.fromkeys(("model.onnx", "tokenizer.json", "golden.jsonl"), "")


def write_inputs(directory: Path, **replaced: Any) -> None:
    inputs = {"kind": "text", "max_characters": 5000, "max_tokens": 16} | replaced
    write_manifest(directory, inputs=inputs)


def leave_out_golden_examples(directory: Path) -> None:
    (directory / "golden.jsonl").write_text("")
    write_manifest(directory)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda directory: (directory / "model.yaml").unlink(), "sentiment/1: model.yaml: No such"),
        (lambda directory: (directory / "model.yaml").write_text(": ["), "parsing"),
        (lambda directory: write_manifest(directory, format=2), "format"),
        (lambda directory: write_manifest(directory, task="regression"), "task"),
        (lambda directory: write_manifest(directory, version="2"), "names sentiment version 2"),
        (lambda directory: write_manifest(directory, files={}), "names no"),
        (lambda directory: write_manifest(directory, files={"../1": "", **FILES}), "outside of"),
        (lambda directory: write_manifest(directory, temperature=0), "temperature"),
        (lambda directory: write_manifest(directory, temperature="warm"), "temperature"),
        (lambda directory: write_inputs(directory, truncation="middle"), "inputs.truncation"),
        (lambda directory: write_inputs(directory, kind="tensors"), "inputs.kind"),
        (lambda directory: write_manifest(directory, batching={"max_items": 0}), "max_items"),
        (lambda directory: write_manifest(directory, limits={"max_waiting_items": -1}), "limits"),
        (lambda directory: write_manifest(directory, quantisation="int4"), "quantisation"),
        (lambda directory: write_manifest(directory, labels=["good", "good"]), "must differ"),
        (lambda directory: write_manifest(directory, labels=["a", "b"]), "labels"),
        (lambda directory: (directory / "tokenizer.json").unlink(), "tokenizer.json"),
        (truncate_model, "model.onnx is not the file"),
        (truncate_model_and_sign_it, "model.onnx cannot be loaded"),
        (break_tokenizer, "tokenizer.json cannot be read"),
        (expect_another_answer, "golden example is off"),
        (leave_out_golden_examples, "no golden examples"),
        (lambda directory: (directory.parent / "routing.yaml").write_text("versions: {}"), "vers"),
        (lambda directory: write_routing(directory.parent, {"1": 50}), "add up to 100"),
        (
            lambda directory: write_routing(directory.parent, {"1": 90, "2": 10}),
            "sentiment/2: model.yaml",
        ),
    ],
)
def test_damaged_package_is_refused_with_its_fault(
    tmp_path: Path, damage: Callable[[Path], Any], complaint: str
) -> None:
    damage(write_tiny_package(tmp_path))
    with pytest.raises(PackageInvalid, match=complaint):
        load_repository(tmp_path)


def test_empty_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match="no model package"):
        load_repository(tmp_path)


def test_version_written_as_a_number_is_read(tmp_path: Path) -> None:
    directory = write_tiny_package(tmp_path)
    manifest = yaml.safe_load((directory / "model.yaml").read_text()) | {"version": 1}
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest))
    assert list(load_repository(tmp_path).versions("sentiment")) == ["1"]


def test_keys_that_only_people_and_tools_read_are_passed_over(tmp_path: Path) -> None:
    directory = write_tiny_package(tmp_path, metrics={"dev": 0.9}, licence="Apache-2.0")
    routing = {"versions": {1: 100}, "stages": {"dev": "1"}, "history": [{"at": "today"}]}
    (directory.parent / "routing.yaml").write_text(yaml.safe_dump(routing))
    assert load_repository(tmp_path).model("sentiment").routing is not None


def test_faults_name_the_package_and_no_path_of_the_machine(tmp_path: Path) -> None:
    (write_tiny_package(tmp_path) / "golden.jsonl").unlink()
    with pytest.raises(PackageInvalid) as caught:
        load_repository(tmp_path)
    assert str(caught.value) == "sentiment/1: golden.jsonl: No such file or directory"

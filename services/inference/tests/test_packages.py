"""What a package must be before it may serve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.domain import Caller, ModelUnknown
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


def leave_out_golden_examples(directory: Path) -> None:
    (directory / "golden.jsonl").write_text("")
    write_manifest(directory)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda directory: (directory / "model.yaml").unlink(), "model.yaml"),
        (lambda directory: (directory / "model.yaml").write_text(": ["), "parsing"),
        (lambda directory: write_manifest(directory, format=2), "format"),
        (lambda directory: write_manifest(directory, task="regression"), "task"),
        (lambda directory: write_manifest(directory, version="2"), "names sentiment version 2"),
        (lambda directory: write_manifest(directory, files={}), "names no"),
        (lambda directory: write_manifest(directory, labels=["a", "b"]), "labels"),
        (lambda directory: (directory / "tokenizer.json").unlink(), "tokenizer.json"),
        (truncate_model, "model.onnx is not the file"),
        (truncate_model_and_sign_it, "model.onnx cannot be loaded"),
        (break_tokenizer, "tokenizer.json cannot be read"),
        (expect_another_answer, "golden example is off"),
        (leave_out_golden_examples, "no golden examples"),
        (lambda directory: (directory.parent / "routing.yaml").write_text("versions: {}"), "vers"),
        (lambda directory: write_routing(directory.parent, {"1": 50}), "add up to 100"),
        (lambda directory: write_routing(directory.parent, {"1": 90, "2": 10}), "/2/model.yaml"),
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


def test_shares_split_the_callers_and_each_stays_with_its_version(tmp_path: Path) -> None:
    for version in ("1", "2"):
        write_tiny_package(tmp_path, version=version)
    write_routing(tmp_path / "sentiment", {"1": 80, "2": 20})
    repository = load_repository(tmp_path)

    def version_of(number: int) -> str:
        caller = Caller("acme", f"client-{number}")
        return repository.select("sentiment", "", caller).package.manifest.version

    chosen = [version_of(number) for number in range(1000)]
    assert [version_of(number) for number in range(1000)] == chosen
    assert 750 < chosen.count("1") < 850


def test_named_version_is_taken_whatever_its_share(tmp_path: Path) -> None:
    for version in ("1", "2"):
        write_tiny_package(tmp_path, version=version)
    write_routing(tmp_path / "sentiment", {"1": 100, "2": 0})
    repository = load_repository(tmp_path)
    caller = Caller("acme", "a-1")
    assert repository.select("sentiment", "2", caller).package.manifest.version == "2"
    assert repository.select("sentiment", "", caller).package.manifest.version == "1"
    with pytest.raises(ModelUnknown, match="version '3'"):
        repository.select("sentiment", "3", caller)

"""What becomes a package, what is refused, and that nothing half is ever visible."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from training import __main__ as command
from training import register as register_module
from training.domain import InputError, Refused, StorageError
from training.packaged_model import load_packaged, self_test

from .conftest import BAD, GOOD, make_rows, write_rows
from .exported_runs import make_run, with_failed_check
from .test_prepare_refusals import full_disk

FILES = {
    *("MODEL_CARD.md", "golden.jsonl", "model.onnx"),
    *("model.yaml", "reference.json", "tokenizer.json"),
}
HALF = (GOOD[0], GOOD[1], *BAD)

Register = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "toys" / "dev.jsonl", make_rows(60, seed=2))


@pytest.fixture
def register(root: Path, dev: Path) -> Register:
    """Register a run as a version of ``toy``."""

    def run(model: Path, version: str, *more: object, repository: object = root) -> Result:
        given = ("register", model, "--dev", dev, "--name", "toy", "--version", version, *more)
        arguments = [str(each) for each in (*given, "--repository", repository)]
        return CliRunner().invoke(command.app, arguments)

    return run


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_run(tmp_path / "good")


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """It knows half of the good words."""
    return make_run(tmp_path / "half", knows=HALF)


def manifest(root: Path, version: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((root / "toy" / version / "model.yaml").read_text())
    return content


def events(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "toy" / "events.jsonl").read_text().splitlines()]


def visible(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")} if root.exists() else set()


def test_a_model_becomes_a_package_that_says_how_to_run_it(
    register: Register, good: Path, root: Path
) -> None:
    result = register(good, "1", "--by", "ada")

    assert result.exception is None, result.output
    assert {path.name for path in (root / "toy" / "1").iterdir()} == FILES
    described = manifest(root, "1")
    assert described["inputs"] == {
        "kind": "text", "max_characters": 5000, "max_tokens": 24, "truncation": "head_tail",
    }  # fmt: skip
    assert (described["temperature"], described["quantisation"]) == (1.5, "none")
    assert described["batching"]["independent"] is True
    assert described["registered"] == {"accuracy": 1.0, "margin": 0.5}
    assert [row["split"] for row in described["data"]] == ["train", "dev"]
    self_test(root / "toy" / "1")


def test_the_first_version_takes_all_traffic_and_the_next_none(
    register: Register, good: Path, root: Path
) -> None:
    for version in ("1", "2"):
        assert register(good, version, "--by", "ada").exception is None

    routing = yaml.safe_load((root / "toy" / "routing.yaml").read_text())
    assert routing["versions"] == {"1": 100}
    assert routing["stages"] == {"dev": "1", "staging": "1", "production": "1"}
    assert [(event["action"], event["to"], event["by"]) for event in events(root)] == [
        ("register", "1", "ada"),
        ("first", "1", "ada"),
        ("register", "2", "ada"),
    ]


def test_a_model_whose_export_failed_a_check_is_refused(
    register: Register, good: Path, root: Path
) -> None:
    result = register(with_failed_check(good), "1")

    assert isinstance(result.exception, Refused)
    assert "agreement 0.97 (at least 0.99): FAILED" in str(result.exception)
    assert visible(root) == set()


def test_a_model_that_was_not_exported_is_refused(register: Register, good: Path) -> None:
    (good / "model" / "export.json").unlink()

    result = register(good, "1")

    assert isinstance(result.exception, InputError)
    assert "run weir-train export" in str(result.exception)


def test_a_package_that_does_not_give_its_golden_answers_never_appears(
    register: Register, good: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"text": "great", "probabilities": {"negative": 0.9, "positive": 0.1}}
    monkeypatch.setattr(register_module, "golden_text", lambda *_, **__: json.dumps(wrong) + "\n")

    result = register(good, "1")

    assert isinstance(result.exception, Refused)
    assert "self-test: golden example 1 is 0." in str(result.exception)
    assert visible(root) == set()


def test_a_package_without_golden_answers_never_appears(
    register: Register, good: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_module, "golden_text", lambda *_, **__: "")

    assert "there are no golden examples" in str(register(good, "1").exception)
    assert visible(root) == set()


def test_a_worse_model_than_production_is_refused_whatever_its_stored_figures_say(
    register: Register, good: Path, half: Path, root: Path
) -> None:
    register(good, "1")
    path = root / "toy" / "1" / "model.yaml"
    path.write_text(path.read_text().replace("accuracy: 0.25", "accuracy: 0.01"))
    before = visible(root)

    result = register(half, "2")

    assert isinstance(result.exception, Refused)
    assert "of version 1, in production, by more than 0.5 points" in str(result.exception)
    assert visible(root) == before


def test_the_margin_is_in_points_of_accuracy(
    register: Register, good: Path, half: Path, root: Path
) -> None:
    register(good, "1")

    assert register(half, "2", "--margin", 50).exception is None

    registered = manifest(root, "2")["registered"]
    lost = registered["production_accuracy"] - registered["accuracy"]
    assert registered["version"] == "1"
    assert 0 < lost < 0.5
    assert register(half, "3", "--margin", 100 * lost + 0.01).exception is None
    assert isinstance(register(half, "4", "--margin", 100 * lost - 0.01).exception, Refused)


def test_a_better_model_is_compared_with_production_and_not_with_the_newest(
    register: Register, good: Path, half: Path, root: Path
) -> None:
    register(half, "1")
    register(good, "2")

    assert register(half, "3").exception is None
    assert manifest(root, "3")["registered"]["version"] == "1"


def test_labels_in_another_order_are_compared_by_name(
    register: Register, good: Path, tmp_path: Path, root: Path
) -> None:
    register(good, "1")
    turned = make_run(tmp_path / "turned", labels=("positive", "negative"))
    rows = [{**row, "label": int(row["label"] == 0)} for row in make_rows(60, seed=2)]
    dev = write_rows(tmp_path / "turned" / "dev.jsonl", rows)

    result = register(turned, "2", "--dev", dev)

    assert result.exception is None, result.output
    assert manifest(root, "2")["registered"]["production_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("model.onnx", b"damaged", "cannot be loaded"),
        ("tokenizer.json", b"{}", "not a usable tokenizer"),
        ("model.yaml", b"inputs: {kind: tensors}", "its inputs are tensors"),
        ("model.yaml", None, "its package is gone"),
    ],
)
def test_a_production_version_that_cannot_be_asked_needs_a_reason(
    register: Register, good: Path, root: Path, file: str, content: bytes | None, complaint: str
) -> None:
    register(good, "1")
    path = root / "toy" / "1" / file
    path.unlink() if content is None else path.write_bytes(content)

    result = register(good, "2")

    assert isinstance(result.exception, Refused)
    assert complaint in str(result.exception)
    assert not (root / "toy" / "2").exists()
    assert register(good, "2", "--unscored", "version 1 was broken").exception is None
    assert manifest(root, "2")["registered"]["unscored"] == "version 1 was broken"
    assert events(root)[-1]["unscored"] == "version 1 was broken"


def test_other_labels_than_production_need_a_reason(
    register: Register, good: Path, root: Path
) -> None:
    register(good, "1")
    path = root / "toy" / "1" / "model.yaml"
    path.write_text(path.read_text().replace("- negative", "- neutral"))

    assert "its labels are neutral, positive" in str(register(good, "2").exception)


def test_a_version_is_never_overwritten(register: Register, good: Path, root: Path) -> None:
    register(good, "1")
    before = (root / "toy" / "1" / "model.yaml").read_bytes()

    result = register(good, "1")

    assert isinstance(result.exception, InputError)
    assert "immutable" in str(result.exception)
    assert (root / "toy" / "1" / "model.yaml").read_bytes() == before


@pytest.mark.parametrize("target", ["directory", "bucket"])
def test_a_full_disk_leaves_nothing(
    register: Register, good: Path, root: Path, bucket: Any, target: str
) -> None:
    location = root if target == "directory" else "s3://models/a"
    with full_disk(1000):
        result = register(good, "1", repository=location)

    assert isinstance(result.exception, StorageError)
    assert "cannot be written" in str(result.exception)
    assert visible(root) == set()
    assert list(bucket.objects.all()) == []


def test_a_bucket_takes_packages_and_compares_with_what_it_has(
    register: Register, good: Path, half: Path, bucket: Any
) -> None:
    location = "s3://models/team"
    assert register(good, "1", repository=location).exception is None

    result = register(half, "2", repository=location)

    assert isinstance(result.exception, Refused)
    names = {each.key.removeprefix("team/toy/") for each in bucket.objects.all()}
    assert names == {"routing.yaml", "events.jsonl", *(f"1/{file}" for file in FILES)}


def test_a_refusal_ends_in_one_line_and_exit_code_1(
    good: Path,
    dev: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ("register", with_failed_check(good), "--dev", dev, "--name", "toy", "--version", "1")
    arguments = ["weir-train", *map(str, given), "--repository", str(root)]
    monkeypatch.setattr(sys, "argv", arguments)

    with pytest.raises(SystemExit) as ended:
        command.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_long_text_is_cut_as_the_server_cuts_it(
    register: Register, good: Path, root: Path
) -> None:
    register(good, "1")
    classifier = load_packaged(root / "toy" / "1").classifier
    middle = "the " * 30 + "great " * 3 + "the " * 30

    assert classifier.predict(middle).input_tokens == 24
    assert classifier.predict(middle).label == 0
    assert classifier.predict("the " * 60 + "great").label == 1

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from rich.console import Console

from training import __main__ as command
from training.domain import ExportError, InputError, Refused
from training.packaged_model import self_test
from training.progress import Progress
from training.training_record import finished_model, read_record

Weir = Callable[..., Result]

# Folders of base weights that are no BERT, and that do not say what they are.
OTHER_KIND, NO_KIND = "other-kind", "no-kind"


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["weir-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code


def test_help_teaches_without_loading_torch() -> None:
    script = (
        "import sys; sys.argv = ['weir-train', 'build', '--help']\n"
        "from training.__main__ import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "--learning-rate" in ended.stdout
    assert "same weights" in ended.stdout


def test_bad_data_ends_in_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "fine", "label": 9}\n')
    rows = tmp_path / "train.jsonl"

    code = run_main(
        monkeypatch,
        *("build", "--train", rows, "--dev", rows, "--name", "toy", "--version", "1"),
        *("--repository", tmp_path / "models"),
    )

    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert "train.jsonl, line 1: unknown label 9" in error
    assert not (tmp_path / "models").exists()


def test_a_failed_graph_check_ends_in_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ExportError("int8.onnx: not fused")

    monkeypatch.setattr(command, "app", fail)

    assert run_main(monkeypatch) == 1
    assert capsys.readouterr().err == "weir-train: int8.onnx: not fused\n"


def test_an_unknown_option_ends_in_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, "build", "--nonsense") == 2


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"--labels": "one"}, "labels: Tuple should have at least 2 items"),
        ({"--labels": "one,one"}, "two or more different names"),
        ({"--labels": "one,"}, "two or more different names"),
        ({"--name": "Not A Name"}, "name 'Not A Name'"),
        ({"--name": "../up"}, "name '../up'"),
        ({"--version": ".1"}, "version '.1'"),
        ({"--dev": "nowhere.jsonl"}, "nowhere.jsonl: no such file"),
        ({"--base": "."}, "no config.json"),
        ({"--base": OTHER_KIND}, "a distilbert model; only BERT is exported"),
        ({"--base": NO_KIND}, "its config.json names no model_type"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    weir: Weir,
    train_file: Path,
    dev_file: Path,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    complaint: str,
) -> None:
    for folder, kind in ((OTHER_KIND, '{"model_type": "distilbert"}'), (NO_KIND, "{}")):
        shutil.copytree(base, tmp_path / folder)
        (tmp_path / folder / "config.json").write_text(kind)
    monkeypatch.chdir(tmp_path)
    options = {
        "--train": train_file,
        "--dev": dev_file,
        "--base": base,
        "--name": "toy",
        "--version": "1",
        "--repository": tmp_path / "models",
        "--work": tmp_path / "work",
        **changed,
    }

    result = weir("build", *itertools.chain.from_iterable(options.items()))

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "models").exists()


def test_a_build_that_production_could_not_be_compared_with_is_refused_before_training(
    weir: Weir, built: Path, train_file: Path, dev_file: Path, base: Path, tmp_path: Path
) -> None:
    options = (
        *("build", "--train", train_file, "--dev", dev_file, "--base", base, "--name", "toy"),
        *("--repository", built / "models", "--work", tmp_path / "work"),
    )

    taken = weir(*options, "--version", "1")
    other = weir(*options, "--version", "2", "--labels", "bad,good")

    assert isinstance(taken.exception, InputError)
    assert "a version is immutable" in str(taken.exception)
    assert isinstance(other.exception, Refused)
    assert "its labels are negative, positive" in str(other.exception)
    assert "--unscored" in str(other.exception)
    assert not (tmp_path / "work").exists()


def test_a_build_says_how_far_it_is_and_what_it_wrote(built: Path) -> None:
    output = (built / "output.txt").read_text()

    assert "best at step" in output
    assert "0 s left" in output
    assert "agreement with fp32 1 (at least 0.99): ok" in output
    assert "asking the package its golden examples" in output
    assert str(built / "models" / "toy" / "1") in output


def test_the_steps_one_by_one_make_the_package_that_a_build_makes(
    weir: Weir, built: Path, checkpoint: Path, package: Path, tmp_path: Path
) -> None:
    """And the second version is held against the first."""
    models, run, data = tmp_path / "models", tmp_path / "run", checkpoint.parent / "data"
    shutil.copytree(built / "models", models)
    shutil.copytree(checkpoint, run, ignore=shutil.ignore_patterns("*.onnx", "export.json"))

    exported = weir("export", run, "--data", data)
    registered = weir(
        *("register", run, "--dev", data, "--name", "toy", "--version", "2"),
        *("--repository", models),
    )

    assert exported.exception is None, exported.output
    assert registered.exception is None, registered.output
    again = models / "toy" / "2"
    for file in ("model.onnx", "tokenizer.json", "golden.jsonl"):
        assert (again / file).read_bytes() == (package / file).read_bytes(), file
    first, second = (
        yaml.safe_load((each / "model.yaml").read_text())["registered"] for each in (package, again)
    )
    assert second == {**first, "version": "1", "production_accuracy": first["accuracy"]}
    assert "then in production" in (again / "MODEL_CARD.md").read_text()
    self_test(again)


def test_a_recipe_makes_the_package_that_its_files_make(
    weir: Weir, package: Path, train_file: Path, dev_file: Path, base: Path, tmp_path: Path
) -> None:
    files = {"train": train_file, "dev": dev_file}
    source = {kind: os.path.relpath(file, tmp_path) for kind, file in files.items()}
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(
        yaml.safe_dump(
            {
                "name": "other",
                "labels": ["negative", "positive"],
                "data": {"drop_leaked": True, "sources": [{"name": "rows", **source}]},
                "model": {"base": str(base), "max_tokens": 48},
                "training": {"epochs": 6, "learning_rate": 0.003},
            }
        )
    )

    result = weir(
        *("build", recipe, "--data", tmp_path, "--name", "toy", "--version", "1"),
        *("--repository", tmp_path / "models", "--work", tmp_path / "work"),
    )

    assert result.exception is None, result.output
    for file in ("model.onnx", "tokenizer.json", "golden.jsonl"):
        made = tmp_path / "models" / "toy" / "1" / file
        assert made.read_bytes() == (package / file).read_bytes(), file


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ((), "no data: give a recipe, or --train and --dev"),
        (("--train", "rows.jsonl"), "no data: give a recipe, or --train and --dev"),
        (("a.yaml", "--dev", "rows.jsonl"), "not both"),
        (("nowhere.yaml",), "nowhere.yaml: cannot be read"),
    ],
)
def test_a_build_says_what_it_is_to_be_made_of(
    weir: Weir, tmp_path: Path, given: tuple[str, ...], complaint: str
) -> None:
    result = weir(
        *("build", *given, "--name", "toy", "--version", "1", "--repository", tmp_path / "models")
    )

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a finished run \(no training\.json\)"):
        finished_model(tmp_path)
    with pytest.raises(InputError, match=r"not a finished run \(no training\.json\)"):
        read_record(tmp_path)


def test_a_record_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(json.dumps({"labels": []}))

    with pytest.raises(InputError, match="not a training record"):
        read_record(tmp_path)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_rate_loss_and_remaining_time(terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=100)
    clock = iter(range(0, 1000, 5))

    with Progress(console, lambda: float(next(clock))).task("training", 4, "texts") as advance:
        for _ in range(4):
            advance(amount=50, note="loss 0.500")

    lines = shown.getvalue()
    assert "10 texts/s" in lines
    assert "loss 0.500" in lines
    if not terminal:
        assert lines.splitlines() == [
            "training 2/4  10 texts/s  loss 0.500  10 s left",
            "training 4/4  10 texts/s  loss 0.500  0 s left",
        ]


def test_the_rate_of_resumed_work_counts_only_what_was_done_since() -> None:
    shown = io.StringIO()
    clock = iter((0.0, 20.0))
    progress = Progress(Console(file=shown, width=100), lambda: next(clock))

    with progress.task("training", 100, "texts", done=90) as advance:
        advance(amount=40)

    assert shown.getvalue() == "training 91/100  2 texts/s  180 s left\n"

from __future__ import annotations

import io
import itertools
import json
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
from training.domain import ExportError, InputError
from training.progress import Progress
from training.training_record import finished_model, read_record

Weir = Callable[..., Result]


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
        *("--output", tmp_path / "models"),
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
    ],
)
def test_what_cannot_work_is_refused_before_training(
    weir: Weir,
    train_file: Path,
    dev_file: Path,
    base: Path,
    tmp_path: Path,
    changed: dict[str, str],
    complaint: str,
) -> None:
    options = {
        "--train": train_file,
        "--dev": dev_file,
        "--base": base,
        "--name": "toy",
        "--version": "1",
        "--output": tmp_path,
        **changed,
    }

    result = weir("build", *itertools.chain.from_iterable(options.items()))

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)


def test_a_build_says_how_far_it_is_and_what_it_wrote(built: Path) -> None:
    output = (built / "output.txt").read_text()

    assert "best at step" in output
    assert "0 s left" in output
    assert "int8" in output
    assert str(built / "models" / "toy" / "1") in output


def test_a_checkpoint_is_packaged_again_without_training(
    weir: Weir, checkpoint: Path, package: Path, dev_file: Path, tmp_path: Path
) -> None:
    result = weir(
        "package", checkpoint, "--dev", dev_file, "--name", "toy", "--version", "2",
        "--output", tmp_path,
    )  # fmt: skip

    assert result.exception is None
    again = tmp_path / "toy" / "2"
    for file in ("model.onnx", "tokenizer.json", "golden.jsonl"):
        assert (again / file).read_bytes() == (package / file).read_bytes(), file


def test_an_existing_version_is_refused(
    weir: Weir, checkpoint: Path, built: Path, dev_file: Path
) -> None:
    result = weir(
        "package", checkpoint, "--dev", dev_file, "--name", "toy", "--version", "1",
        "--output", built / "models",
    )  # fmt: skip

    assert isinstance(result.exception, InputError)
    assert "immutable" in str(result.exception)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a finished run \(no training\.json\)"):
        finished_model(tmp_path)
    with pytest.raises(InputError, match=r"not a finished run \(no training\.json\)"):
        read_record(tmp_path)


def test_a_record_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(json.dumps({"labels": []}))

    with pytest.raises(InputError, match="not a training record"):
        read_record(tmp_path)


def test_a_model_that_servers_would_cut_otherwise_is_not_packaged(
    weir: Weir, checkpoint: Path, dev_file: Path, tmp_path: Path
) -> None:
    tail = tmp_path / "tail"
    shutil.copytree(checkpoint, tail)
    record = json.loads((tail / "training.json").read_text())
    record["recipe"]["model"]["truncation"] = "tail"
    (tail / "training.json").write_text(json.dumps(record))

    result = weir("package", tail, "--dev", dev_file, "--name", "toy", "--version", "2")

    assert isinstance(result.exception, InputError)
    assert "cuts texts as tail" in str(result.exception)


def test_prepared_data_is_measured_source_by_source(
    weir: Weir, built: Path, checkpoint: Path, tmp_path: Path
) -> None:
    result = weir(
        "package", checkpoint.parent, "--dev", built / "work" / "toy-1" / "data",
        "--name", "toy", "--version", "2", "--output", tmp_path,
    )  # fmt: skip

    assert result.exception is None, result.output
    described = yaml.safe_load((tmp_path / "toy" / "2" / "model.yaml").read_text())
    assert list(described["metrics"]) == ["toys dev"]


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

"""A run that was killed ends in the same weights and figures as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training.domain import InputError, StorageError
from training.training_record import read_record

from .conftest import Weir
from .test_prepare_refusals import full_disk

# Everything that has a state: gathered batches, an average, early stopping, a measurement in the
# middle of an epoch. Checkpoints are made at steps 4, 8, 12, …
OPTIONS = (
    *("--epochs", "2", "--max-tokens", "32", "--learning-rate", "0.003"),
    *("--set", "training.rows_per_batch=8", "--set", "training.accumulate=2"),
    *("--set", "training.ema=0.9", "--set", "training.evaluate_every=5"),
    *("--set", "training.patience=30", "--set", "training.checkpoint_every_steps=4"),
)
KILLED_IN_A_STEP = """
import os, signal
from training import trainer
original = trainer.Trainer._step
def step(self, batches):
    if self.position.step == 22:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, batches)
trainer.Trainer._step = step
"""
KILLED_IN_A_CHECKPOINT = """
import os, signal, torch
original = torch.save
def save(state, file):
    if state["position"]["step"] == 24:
        file.write(b"PK half a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    original(state, file)
torch.save = save
"""

Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def command(data: Path, thin_base: Path) -> Command:
    def arguments(output: Path, *more: object) -> list[str]:
        given = ("fit", data, "--base", thin_base, "--output", output, *OPTIONS, *more)
        return [str(argument) for argument in given]

    return arguments


@pytest.fixture(scope="module")
def unbroken(command: Command, weir: Weir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    result = weir(*command(run))
    assert result.exception is None, result.output
    return run


def killed(command: list[str], sabotage: str) -> None:
    script = f"import sys\n{sabotage}\nsys.argv = {['weir-train', *command]!r}\n"
    ended = subprocess.run(
        [sys.executable, "-c", script + "from training.__main__ import main\nmain()\n"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.parametrize("sabotage", [KILLED_IN_A_STEP, KILLED_IN_A_CHECKPOINT])
def test_a_killed_and_resumed_run_ends_like_an_unbroken_one(
    command: Command, weir: Weir, unbroken: Path, tmp_path: Path, sabotage: str
) -> None:
    run = tmp_path / "run"
    killed(command(run), sabotage)
    assert not (run / "model").exists()

    result = weir(*command(run, "--resume"))

    assert result.exception is None, result.output
    assert "resumed after step 20" in result.output
    for file in ("model.safetensors", "head.safetensors", "tokenizer.json"):
        assert (run / "model" / file).read_bytes() == (unbroken / "model" / file).read_bytes()
    ours, theirs = read_record(run / "model"), read_record(unbroken / "model")
    assert ours.metrics == theirs.metrics
    assert (ours.steps, ours.best_step) == (theirs.steps, theirs.best_step)
    assert measured(run) == measured(unbroken)
    assert {path.name for path in run.iterdir()} == {"run.json", "log.jsonl", "model"}


def measured(run: Path) -> list[dict[str, object]]:
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [event for event in events if "dev" in event]


@pytest.fixture
def stopped(command: Command, weir: Weir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that failed after its checkpoints of steps 4, 8 and 12, of which two are kept."""
    from training import trainer

    original = trainer.Trainer._step

    def step(self: trainer.Trainer, batches: list[list[int]]) -> trainer.Step:
        if self.position.step == 13:
            raise KeyboardInterrupt
        return original(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_step", step)
        weir(*command(tmp_path / "run"))
    return tmp_path / "run"


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_older_checkpoints_are_removed(stopped: Path) -> None:
    assert checkpoints(stopped) == ["step-000000008.pt", "step-000000012.pt"]


def test_a_damaged_checkpoint_is_passed_over(
    command: Command, weir: Weir, stopped: Path, unbroken: Path
) -> None:
    newest = stopped / "checkpoints" / "step-000000012.pt"
    newest.write_bytes(newest.read_bytes()[:1000])

    result = weir(*command(stopped, "--resume"))

    assert "step-000000012.pt cannot be read" in result.output
    assert "resumed after step 8" in result.output
    weights = [run / "model" / "model.safetensors" for run in (stopped, unbroken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("--seed", 8), "a run with another recipe"),
        (("--learning-rate", "0.001"), "a run with another recipe"),
    ],
)
def test_another_run_is_not_gone_on_with(
    command: Command, weir: Weir, stopped: Path, change: tuple[object, ...], complaint: str
) -> None:
    result = weir(*command(stopped, "--resume", *change))

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)


def test_how_often_checkpoints_are_made_may_change(
    command: Command, weir: Weir, stopped: Path
) -> None:
    result = weir(*command(stopped, "--resume", "--set", "training.checkpoint_every_steps=50"))

    assert result.exception is None


def test_another_number_of_threads_is_said(
    command: Command, weir: Weir, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)

    result = weir(*command(stopped, "--resume"))

    assert "another number of threads (1 before, 7 now): weights may differ" in result.output


def test_a_finished_run_is_not_overwritten(command: Command, weir: Weir, unbroken: Path) -> None:
    for more in ((), ("--resume",)):
        result = weir(*command(unbroken, *more))
        assert "the run is finished" in str(result.exception)


def test_a_run_of_another_form_is_refused(command: Command, weir: Weir, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")

    result = weir(*command(tmp_path, "--resume"))

    assert "run.json: not the record of a run" in str(result.exception)


def test_a_full_disk_ends_the_run_and_leaves_the_whole_checkpoints(
    command: Command, weir: Weir, stopped: Path
) -> None:
    size = (stopped / "checkpoints" / "step-000000012.pt").stat().st_size
    with full_disk(size // 2):
        result = weir(*command(stopped, "--resume"))

    assert isinstance(result.exception, StorageError)
    assert "cannot be written" in str(result.exception)
    assert checkpoints(stopped) == ["step-000000008.pt", "step-000000012.pt"]
    assert weir(*command(stopped, "--resume")).exception is None

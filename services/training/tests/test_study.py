"""Trials of a study: chosen, pruned, shared between processes, and tried again after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training import study as study_module
from training.domain import InputError, TrainingError
from training.study import Study, Trial
from training.tuning_recipe import Parameter, Tuning

RATE = {"training.learning_rate": Parameter(low=1e-5, high=1e-3, log=True)}
Open = Callable[..., Study]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deep/studies.db"


@pytest.fixture
def opened(url: str) -> Open:
    def open_it(tuning: Tuning | None = None, name: str = "toy", recipe: str = "a") -> Study:
        given = tuning or Tuning(parameters=RATE)
        return Study(url, name, given, {"recipe": recipe}, maximise=True)

    return open_it


def silent(line: str) -> None:
    del line


def rate_of(trial: Trial) -> float:
    rate = trial.values["training.learning_rate"]
    assert isinstance(rate, float)
    return rate


def test_the_same_seed_tries_the_same_values(tmp_path: Path) -> None:
    tried: list[list[float]] = [[], []]
    for place, rates in enumerate(tried):
        study = Study(f"sqlite:///{tmp_path}/{place}.db", "a", Tuning(parameters=RATE), {},
                      maximise=True)  # fmt: skip
        study.run(3, lambda trial, rates=rates: rates.append(rate_of(trial)) or 1.0, silent)

    assert tried[0] == tried[1]
    assert len(set(tried[0])) == 3


def test_every_kind_of_parameter_keeps_to_its_values(opened: Open) -> None:
    parameters = {
        "model.layers": Parameter(low=2, high=6),
        "training.warmup": Parameter(low=0, high=0.5),
        "training.decay": Parameter(choices=("linear", "cosine")),
    }
    seen: list[tuple[object, ...]] = []
    opened(Tuning(parameters=parameters)).run(
        8, lambda trial: seen.append(tuple(trial.values.values())) or 0.0, silent
    )  # fmt: skip

    assert {type(layers) for layers, _, _ in seen} == {int}
    assert all(2 <= layers <= 6 and 0 <= warmup <= 0.5 for layers, warmup, _ in seen)
    assert {decay for *_, decay in seen} == {"linear", "cosine"}


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_trial_that_falls_behind_is_pruned(opened: Open, pruner: str) -> None:
    measured: dict[int, int] = {}

    def objective(trial: Trial) -> float:
        score = 0.9 if trial.number < 4 else 0.1
        for measurement in range(1, 5):
            measured[trial.number] = measurement
            trial.report(score, measurement)
        return score

    lines: list[str] = []
    opened(Tuning.model_validate({"parameters": RATE, "pruner": pruner})).run(
        6, objective, lines.append
    )

    assert measured[0] == 4
    assert any(of < 4 for number, of in measured.items() if number >= 4)
    assert any("pruned, best 0.9000 in trial" in line for line in lines)


def test_without_a_pruner_every_trial_ends(opened: Open) -> None:
    def objective(trial: Trial) -> float:
        trial.report(-trial.number, 1)
        return float(-trial.number)

    study = opened(Tuning(parameters=RATE, pruner="none"))
    study.run(4, objective, silent)

    best = study.best()
    assert best is not None
    assert (best.number, best.score) == (0, 0.0)


def test_a_trial_that_diverges_counts_and_the_study_goes_on(opened: Open) -> None:
    def objective(trial: Trial) -> float:
        if trial.number == 1:
            raise TrainingError("the loss of step 3 is nan")
        return 0.5

    lines: list[str] = []
    study = opened()
    study.run(3, objective, lines.append)

    assert study.finished() == 3
    assert "trial 1: failed, best 0.5000 in trial 0; 2 of 3 done" in lines


def test_a_trial_that_ends_otherwise_ends_the_run_and_does_not_count(opened: Open) -> None:
    def interrupt(_: Trial) -> float:
        raise InputError("stop")

    study = opened()
    with pytest.raises(InputError, match="stop"):
        study.run(2, interrupt, silent)

    assert study.finished() == 0
    assert study.best() is None


def test_who_joins_a_study_goes_on_with_it_and_tries_other_values(opened: Open) -> None:
    rates: list[float] = []

    def objective(trial: Trial) -> float:
        rates.append(rate_of(trial))
        return 0.5

    opened().run(2, objective, silent)
    opened().run(4, objective, silent)
    opened().run(4, objective, silent)

    assert len(rates) == len(set(rates)) == 4


def test_a_study_of_something_else_is_refused(opened: Open) -> None:
    opened(recipe="a")

    with pytest.raises(InputError, match="study toy is of another recipe"):
        opened(recipe="b")
    opened(name="other", recipe="b")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/nowhere/a.db", "odd://x"])
def test_a_storage_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises(InputError, match="cannot be"):
        Study(url, "toy", Tuning(), {}, maximise=True)


@pytest.mark.parametrize(
    "given",
    [{}, {"low": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True},
     {"low": 0, "high": 1, "choices": [1]}, {"choices": []}, {"lo": 1, "high": 2}],
)  # fmt: skip
def test_a_parameter_that_is_none_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Parameter"):
        Parameter.model_validate(given)


HANGING_WORKER = """
import json, sys, time
from training import study
study.HEARTBEAT_SECONDS = 1
from training.tuning_recipe import Parameter, Tuning
tuning = Tuning(parameters={"training.learning_rate": Parameter(low=1e-5, high=1e-3, log=True)})
def hang(trial):
    print(json.dumps(trial.values), flush=True)
    time.sleep(600)
study.Study(sys.argv[1], "toy", tuning, {"recipe": "a"}, maximise=True).run(1, hang, lambda _: None)
"""


def test_the_trial_of_a_killed_process_is_tried_again_by_another(
    url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(study_module, "GRACE_SECONDS", 2)
    worker = subprocess.Popen(
        [sys.executable, "-c", HANGING_WORKER, url], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    with worker.stdout as said:
        killed = json.loads(said.readline())["training.learning_rate"]
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    rates: list[float] = []
    study = opened()

    give_up = time.monotonic() + 90
    while killed not in rates:
        assert time.monotonic() < give_up, "the trial was not tried again"
        study.run(study.finished() + 1, lambda trial: rates.append(rate_of(trial)) or 0.5, silent)

    assert study.finished() == len(rates)

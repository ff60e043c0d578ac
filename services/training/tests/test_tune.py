"""Tuning as a command: trials are fits, the best recipe is one that fit takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from training.domain import InputError
from training.prepared_data import PreparedData, read_prepared
from training.progress import Progress
from training.recipe import Recipe
from training.recipe_file import make_recipe, read_settings
from training.recipe_section import digest
from training.terminal import terminal_progress
from training.tracking import Untracked
from training.tune import open_study, tune

from .conftest import Weir

SPACE = {"training.learning_rate": {"low": "1e-5", "high": 1e-2, "log": True}}
Settings = dict[str, Any]


@pytest.fixture
def prepared(data: Path) -> PreparedData:
    return read_prepared(data)


@pytest.fixture
def progress() -> Progress:
    return terminal_progress()


@pytest.fixture
def recipe(prepared: PreparedData) -> Recipe:
    return make(prepared, {"parameters": SPACE})


def make(prepared: PreparedData, tuning: Settings, **training: Any) -> Recipe:
    settings = {"data": prepared.recipe.model_dump(), "tuning": tuning, "training": training}
    return make_recipe(settings, "test")


def fit_by_hand(
    chosen: Recipe, directory: Path, on_event: Callable[[Mapping[str, Any]], object]
) -> None:
    """The nearer to 1e-3, the better; leaves a run's directory as fit does."""
    directory.mkdir(parents=True)
    distance = abs(chosen.training.learning_rate - 1e-3)
    for step in (1, 2):
        scores = {"toys": {"accuracy": 0.5}}
        on_event({"step": step, "loss": 0.1})
        on_event({"step": step, "dev": scores, "mean": 1 - distance, "best": True})


def test_the_best_recipe_is_written_and_has_the_best_trials_values(
    recipe: Recipe, prepared: PreparedData, tmp_path: Path, progress: Progress
) -> None:
    study = open_study(f"sqlite:///{tmp_path}/s.db", "toy", recipe, prepared)

    best = tune(study, recipe, 5, tmp_path, fit_by_hand, Untracked(), progress)

    written = make_recipe(read_settings(tmp_path / "best.yaml"), "best.yaml")
    assert written.training.learning_rate == best.values["training.learning_rate"]
    assert best.score == pytest.approx(1 - abs(written.training.learning_rate - 1e-3))
    assert written.data == recipe.data
    assert list((tmp_path / "trials").iterdir()) == []


def test_a_setting_that_the_recipe_does_not_allow_is_told_before_any_trial(
    prepared: PreparedData, tmp_path: Path
) -> None:
    space = {"training.warmup": {"low": 0.0, "high": 3.0}}

    with pytest.raises(InputError, match=r"training\.warmup: Input should be less than 1"):
        open_study(f"sqlite:///{tmp_path}/s.db", "toy", make(prepared, {"parameters": space}),
                   prepared)  # fmt: skip


def test_a_setting_that_is_none_is_told_before_any_trial(
    prepared: PreparedData, tmp_path: Path
) -> None:
    space = {"training.learning_rat": {"low": 0.1, "high": 0.2}}

    with pytest.raises(InputError, match="did you mean learning_rate"):
        open_study(f"sqlite:///{tmp_path}/s.db", "toy", make(prepared, {"parameters": space}),
                   prepared)  # fmt: skip


def test_a_study_of_another_recipe_or_space_is_not_joined(
    recipe: Recipe, prepared: PreparedData, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    open_study(url, "toy", recipe, prepared)

    with pytest.raises(InputError, match="is of another recipe: choose another --study"):
        open_study(url, "toy", make(prepared, {"parameters": SPACE}, epochs=9), prepared)
    with pytest.raises(InputError, match="is of another search space"):
        open_study(url, "toy", make(prepared, {}), prepared)


def test_the_search_space_is_no_part_of_a_models_identity(
    recipe: Recipe, prepared: PreparedData
) -> None:
    assert digest(recipe) == digest(make(prepared, {"seed": 99}))


def test_without_a_completed_trial_there_is_no_recipe(
    recipe: Recipe, prepared: PreparedData, tmp_path: Path, progress: Progress
) -> None:
    from training.domain import TrainingError

    def diverge(*_: object) -> None:
        raise TrainingError("the loss is nan")

    study = open_study(f"sqlite:///{tmp_path}/s.db", "toy", recipe, prepared)
    with pytest.raises(InputError, match="no trial completed"):
        tune(study, recipe, 2, tmp_path, diverge, Untracked(), progress)
    assert not (tmp_path / "best.yaml").exists()


def test_the_command_tunes_and_fit_takes_what_it_wrote(
    weir: Weir, data: Path, thin_base: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {{base: {thin_base}, max_tokens: 32}}\n"
        "training: {epochs: 1, max_rows: 60, dev_rows: 20}\n"
        "tuning: {parameters: {training.learning_rate: {low: 1e-4, high: 1e-2, log: true}}}\n"
    )
    output = tmp_path / "tuning"

    result = weir("tune", data, "--recipe", recipe, "--trials", 2, "--output", output)

    assert result.exception is None, result.output
    assert "trial 0: learning_rate 0." in result.output
    assert "2 of 2 done" in result.output
    assert "so none is pruned" in result.output
    again = weir("tune", data, "--recipe", recipe, "--trials", 2, "--output", output)
    assert "trial 2" not in again.output
    best = ("--recipe", output / "best.yaml", "--output", tmp_path / "run")
    assert weir("fit", data, *best).exception is None

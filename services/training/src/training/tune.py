"""Looks for better values of a recipe's settings: each trial is a run of ``fit``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from training.domain import InputError
from training.prepared_data import PreparedData
from training.progress import Progress
from training.recipe import Recipe
from training.recipe_file import change, make_recipe
from training.recipe_section import digest
from training.staged_directory import write_whole
from training.study import Study, Trial, Tried
from training.tracking import TrackedRun, event_metrics, flat
from training.tuning_recipe import Value

BEST = "best.yaml"
LOSS = "loss"

# Fits a recipe in a directory, tells events, and returns the model's directory.
Fit = Callable[[Recipe, Path, Callable[[Mapping[str, Any]], object]], object]


def open_study(url: str, name: str, recipe: Recipe, data: PreparedData) -> Study:
    """The study of a recipe on data. Raises InputError as Study does, and for the search space."""
    _check_space(recipe)
    identity = {
        "recipe": digest(recipe),
        "search space": digest(recipe.tuning),
        "data": data.sha256,
    }
    maximise = recipe.training.metric != LOSS
    return Study(url, name, recipe.tuning, identity, maximise=maximise)


def tune(
    study: Study,
    recipe: Recipe,
    trials: int,
    output: Path,
    fit: Fit,
    tracked: TrackedRun,
    progress: Progress,
) -> Tried:
    """Run trials until the study has so many, and write the best recipe, which ``fit`` takes.

    A trial's run lies below ``output/trials`` while it lasts. Raises InputError when no trial
    completed.
    """
    if recipe.tuning.pruner != "none" and not _is_measured_often(recipe):
        progress.say("note: measured once a trial, so none is pruned: set training.evaluate_every")

    def objective(trial: Trial) -> float:
        chosen = with_values(recipe, trial.values)
        directory = output / "trials" / str(trial.number)
        # What a killed process has left of a trial with this number in another study.
        shutil.rmtree(directory, ignore_errors=True)
        scores: list[float] = []
        with tracked.nested(f"trial {trial.number}") as nested:
            nested.params(flat(chosen))

            def on_event(event: Mapping[str, Any]) -> None:
                nested.metrics(event_metrics(event), int(event["step"]))
                if "mean" in event:
                    scores.append(float(event["mean"]))
                    trial.report(scores[-1], len(scores))

            try:
                fit(chosen, directory, on_event)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
        return min(scores) if recipe.training.metric == LOSS else max(scores)

    study.run(trials, objective, progress.say)
    best = study.best()
    if best is None:
        raise InputError("no trial completed: widen the search space or give more --trials")
    write_best(output / BEST, recipe, best)
    return best


def with_values(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """The recipe with values at dotted settings. Raises InputError where it does not allow them."""
    settings = change(recipe.model_dump(mode="json"), values)
    return make_recipe(settings, "tuning")


def write_best(path: Path, recipe: Recipe, best: Tried) -> None:
    """Write the recipe of the best trial, whole or not at all."""
    settings = with_values(recipe, best.values).model_dump(mode="json")
    score = f"{recipe.training.metric} {best.score:.6f}"
    head = f"# The best of a study: trial {best.number}, {score}.\n"
    text = head + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    write_whole(path, lambda stage: stage.write_text(text, encoding="utf-8"))


def _check_space(recipe: Recipe) -> None:
    """Try every extreme before a trial does, hours later."""
    for name, parameter in recipe.tuning.parameters.items():
        for value in parameter.extremes:
            with_values(recipe, {name: value})


def _is_measured_often(recipe: Recipe) -> bool:
    return recipe.training.evaluate_every is not None or recipe.training.epochs > 1

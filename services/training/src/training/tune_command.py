"""``weir-train tune``: looks for better settings, alone or together with other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from training.base_model import find_base_model
from training.domain import InputError
from training.fit_command import recipe_for, stop_signals
from training.prepare_command import Changes
from training.prepared_data import read_prepared
from training.recipe import Recipe
from training.recipe_file import change, parse_change, read_settings
from training.terminal import terminal_progress
from training.tracking import flat, tracked_run
from training.tracking_option import NoTracking

STUDIES = "studies.db"


def tune_command(
    data: Annotated[Path, typer.Argument(help="A directory that prepare wrote.")],
    recipe: Annotated[
        Path | None,
        typer.Option(help="A recipe in YAML; its tuning section says what may change."),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Finished trials that the study shall have.")
    ] = 20,
    output: Annotated[Path, typer.Option(help="Gets best.yaml, a recipe that fit takes.")] = Path(
        ".weir/training/tuning"
    ),
    storage: Annotated[
        str | None,
        typer.Option(help="A database that processes share; by default studies.db in the output."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="The study's name in it; by default the recipe's.")
    ] = None,
    changes: Changes = None,
    no_tracking: NoTracking = False,
) -> None:
    """Look for better settings: each trial fits, and is given up where others were better.

    weir-train tune .weir/training/data --recipe recipes/sentiment.yaml --trials 30

    The same command in a second process joins the study. One that is killed leaves it usable: its
    trial is tried again by the others, or when the command is given again.
    """
    prepared = read_prepared(data)
    progress = terminal_progress()
    settings = read_settings(recipe) if recipe else {}
    settings = change(settings, dict(parse_change(each) for each in changes or []))
    checked = recipe_for(prepared, settings, str(recipe or "options"), progress)
    if checked.distillation is None:
        find_base_model(checked.model.base)
    url = storage or f"sqlite:///{output / STUDIES}"
    name = study or checked.name
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InputError(f"{output}: cannot be written ({exc.strerror})") from exc
    # Imported late: optuna takes a second, torch several.
    from training.fit import fit
    from training.tune import BEST, open_study, tune

    opened = open_study(url, name, checked, prepared)
    with (
        stop_signals() as stop_signal,
        tracked_run(
            checked.name,
            f"tune {name}",
            progress.say,
            beside=output,
            go_on=True,
            enabled=not no_tracking,
        ) as tracked,
    ):

        def fit_one(
            chosen: Recipe, directory: Path, on_event: Callable[[Mapping[str, Any]], object]
        ) -> object:
            return fit(
                chosen,
                prepared,
                directory,
                progress,
                time.monotonic,
                stop_signal=stop_signal,
                on_event=on_event,
            )

        tracked.params(flat(checked))
        best = tune(opened, checked, trials, output, fit_one, tracked, progress)
        tracked.artefact(output / BEST)
    progress.say(f"wrote {output / BEST}: trial {best.number}, {best.score:.4f}")

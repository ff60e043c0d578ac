"""``weir-train``: the command line. Each command has a module of its own."""

from __future__ import annotations

import sys

import typer

from training.build_command import build_command
from training.domain import (
    ExportError,
    InputError,
    Interrupted,
    Refused,
    StorageError,
    TrainingError,
)
from training.evaluate_command import evaluate_command
from training.export_command import compare_command, export_command
from training.fit_command import fit_command
from training.prepare_command import prepare_command, recipe_command
from training.register_command import register_command
from training.stages_command import (
    models_command,
    promote_command,
    rollback_command,
    stages_command,
)
from training.tune_command import tune_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Make model packages that Weir serves, from labelled text.

    [bold]prepare[/bold] turns files into checked data, [bold]fit[/bold] data into a model,
    [bold]export[/bold] a model into graphs that are proven, and [bold]register[/bold] makes a
    package of them that is as good as what serves; [bold]build[/bold] does all four for two files.
    [bold]evaluate[/bold] says how good a model is, [bold]promote[/bold] and [bold]rollback[/bold]
    decide what serves, [bold]tune[/bold] looks for better settings. A recipe holds every setting:
    [bold]weir-train recipe --explain[/bold].

    Exit codes: 2, what you gave cannot be used (one line says why); 1, a check failed: the loss is
    not a number, or a graph is not what it must be; 130 or 143, stopped by a signal.""",
)
app.command("prepare")(prepare_command)
app.command("fit")(fit_command)
app.command("evaluate")(evaluate_command)
app.command("export")(export_command)
app.command("compare")(compare_command)
app.command("build")(build_command)
app.command("tune")(tune_command)
app.command("register")(register_command)
app.command("promote")(promote_command)
app.command("rollback")(rollback_command)
app.command("stages")(stages_command)
app.command("models")(models_command)
app.command("recipe")(recipe_command)


def main() -> None:
    """Run the command line; what the user can mend ends in one line and no traceback."""
    try:
        app()
    except InputError as exc:
        _fail(f"weir-train: {exc}", code=2)
    except (ExportError, Refused, StorageError, TrainingError) as exc:
        _fail(f"weir-train: {exc}", code=1)
    except Interrupted as exc:
        _fail(f"weir-train: {exc}", code=128 + exc.signal)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(" ".join(message.split()) + "\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()

"""``weir-train fit``: prepared data and a recipe become a finished model."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.base_model import find_base_model
from training.domain import InputError
from training.prepare_command import Changes
from training.prepared_data import CARD, PreparedData, read_prepared
from training.progress import Progress
from training.recipe import Recipe
from training.recipe_file import change, make_recipe, parse_change, read_settings
from training.run_files import LOG, MODEL
from training.terminal import terminal_progress
from training.tracking import event_metrics, flat, tracked_run
from training.tracking_option import NoTracking

if TYPE_CHECKING:
    from collections.abc import Callable

# A rehearsal: minutes on two cores, to see that all fits together.
QUICK = {
    "training.epochs": 1,
    "training.max_rows": 2000,
    "training.dev_rows": 200,
    "model.max_tokens": 128,
}


def fit_command(
    data: Annotated[Path, typer.Argument(help="A directory that prepare wrote.")],
    output: Annotated[Path, typer.Option(help="The run's directory.")] = Path(".weir/training/run"),
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe in YAML; its data is that of the directory.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Pretrained encoder: a wheel, a directory or a hub id.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows, at most.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The peak, after the warm-up.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Where a text is cut, special tokens included.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides the new head, the order of rows and the dropout.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Layers of the base to keep: how many, or which (0,2,5)."),
    ] = None,
    prune_vocabulary: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="Keep only tokens that occur so often in train rows."),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="A finished run to learn from, besides the labels.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32, bf16 or fp16; auto: what the device is good at.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A rehearsal of some minutes on few rows.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint, if it has one.")
    ] = False,
    changes: Changes = None,
    no_tracking: NoTracking = False,
) -> None:
    """Fine-tune an encoder on prepared data; measure each source's dev rows while it goes.

    weir-train fit .weir/training/data --recipe recipes/sentiment.yaml --output .weir/training/a

    A smaller model that learns from it: weir-train fit .weir/training/data --output
    .weir/training/b --teacher .weir/training/a --layers 3 --prune-vocabulary 3

    A run that was killed goes on with --resume, and ends in the same weights as an unbroken one:
    on a CPU, the same data, recipe, base, number of threads and torch give the same weights.
    Ctrl-C and SIGTERM keep a checkpoint first. The run's directory then holds model/ (weights,
    tokenizer, training.json) and log.jsonl.
    """
    prepared = read_prepared(data)
    options = {
        "model.base": base,
        "model.max_tokens": max_tokens,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "training.seed": seed,
        "training.precision": precision,
        "model.layers": _layers(layers),
        "model.prune_vocabulary": prune_vocabulary,
        "distillation.teacher": str(teacher) if teacher else None,
    }
    progress = terminal_progress()
    settings = read_settings(recipe) if recipe else {}
    wanted = {
        **(QUICK if quick else {}),
        **{key: value for key, value in options.items() if value is not None},
        **dict(parse_change(each) for each in changes or []),
    }
    checked = recipe_for(prepared, change(settings, wanted), str(recipe or "options"), progress)
    run_fit(checked, data, prepared, output, progress, resume=resume, track=not no_tracking)


def recipe_for(
    data: PreparedData, settings: dict[str, Any], origin: str, progress: Progress
) -> Recipe:
    """The recipe in ``settings`` with the data section that ``data`` was really prepared by.

    Raises InputError when the recipe does not fit the schema, or has other labels.
    """
    given = settings.get("data")
    own = data.recipe.model_dump(mode="json")
    checked = make_recipe(
        {"name": data.name, "labels": list(data.labels), **settings, "data": given or own}, origin
    )
    if checked.labels != data.labels:
        raise InputError(
            f"{origin}: labels {', '.join(checked.labels)}; the data has {', '.join(data.labels)}"
        )
    if checked.data != data.recipe:
        progress.say("note: the data was prepared by another data section than the recipe's")
    return checked.model_copy(update={"data": data.recipe})


def run_fit(
    recipe: Recipe,
    directory: Path,
    data: PreparedData,
    output: Path,
    progress: Progress,
    *,
    resume: bool,
    track: bool,
) -> Path:
    """Check what is quick to check, then fit on the data of ``directory``; say where the model is.

    ``track`` keeps recipe, course and model in the tracking store.
    """
    find_base_model(recipe.model.base)
    if (output / MODEL).exists():
        raise InputError(f"{output}: the run is finished; choose another --output")
    # Imported late: torch takes seconds, and neither --help nor a typing error should wait for it.
    from training.fit import fit

    with (
        stop_signals() as stop_signal,
        tracked_run(
            recipe.name, output.name, progress.say, beside=output, go_on=resume, enabled=track
        ) as tracked,
    ):
        tracked.params(flat(recipe))
        tracked.artefact(directory / CARD)
        model = fit(
            recipe,
            data,
            output,
            progress,
            time.monotonic,
            resume=resume,
            stop_signal=stop_signal,
            on_event=lambda event: tracked.metrics(event_metrics(event), int(event["step"])),
        )
        tracked.artefact(model, MODEL)
        tracked.artefact(output / LOG)
    progress.say(f"wrote {model}")
    return model


def _layers(given: str | None) -> int | list[int] | None:
    if given is None:
        return None
    try:
        numbers = [int(number) for number in given.split(",")]
    except ValueError as exc:
        raise InputError(f"--layers {given!r}: give a number, or numbers with commas") from exc
    return numbers[0] if len(numbers) == 1 else numbers


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Give a function that returns the first SIGINT or SIGTERM that came, else 0.

    A second one ends the program at once.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)

    earlier = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

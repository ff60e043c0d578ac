"""``weir-train evaluate``: how good a model is, how sure one can be of that, and of its word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from training.domain import InputError, StorageError
from training.evaluation_page import evaluation_page
from training.progress import Progress
from training.staged_directory import write_whole
from training.terminal import terminal_progress
from training.tracking import tracked_run
from training.tracking_option import NoTracking
from training.training_record import finished_model, read_record

REPORT = "evaluation.json"
PAGE = "evaluation.html"

Graphs = Literal["torch", "fp32", "int8"]


def evaluate_command(
    model: Annotated[
        Path, typer.Argument(help="A run of fit, or a package: deploy/models/sentiment/1.")
    ],
    data: Annotated[
        Path, typer.Option(help="Rows never trained on: prepared data, or one .jsonl(.gz) file.")
    ],
    split: Annotated[
        Literal["dev", "test"],
        typer.Option(help="Of prepared data. dev also chose the best weights; test did not."),
    ] = "dev",
    graph: Annotated[
        Graphs | None,
        typer.Option(help="Of a run: torch (default), or what export left. A package has one."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another run or package, asked the same rows: is this one better?"),
    ] = None,
    against_graph: Annotated[
        Graphs | None, typer.Option(help="The graph of the other one, as --graph.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help=f"Where {REPORT} and {PAGE} are written, over older ones.")
    ] = Path(".weir/training/evaluation"),
    resamples: Annotated[
        int, typer.Option(min=1, help="Resamples of the bootstrap: more, smoother intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Decides the resamples.")] = 7,
    no_tracking: NoTracking = False,
) -> None:
    """Evaluate a model on labelled rows: figures with 95 % intervals, as JSON and as a page.

    weir-train evaluate .weir/training/run --data .weir/training/data

    Is a candidate better than what is served, or does it only look so? weir-train evaluate
    .weir/training/run --graph int8 --data .weir/training/data --against deploy/models/sentiment/1

    Accuracy, macro F1, ROC-AUC, log loss, Brier score, calibration error (ECE; 15 bins of equal
    width, and of equal mass), each label, each source, length and label of the rows, and the
    temperature that would calibrate the model. Neither file holds the text of a row. Those of a run
    are kept with it in MLflow, too.

    Exit code 2 where model or data cannot be used: other labels, or no rows in the split.
    """
    # Imported late: torch takes seconds, and neither --help nor a typing error should wait for it.
    from training.evaluation import evaluate_answers
    from training.evaluation_rows import Rows
    from training.held_out_rows import read_held_out
    from training.model_comparison import Candidate
    from training.resampling import Bootstrap
    from training.scored_model import open_model

    progress = terminal_progress()
    opened = open_model(model, graph)
    other = open_model(against, against_graph) if against else None
    if other and other.labels != opened.labels:
        raise InputError(
            f"{against}: labels {', '.join(other.labels)}; {model} has {', '.join(opened.labels)}"
        )
    examples, described = read_held_out(data, split, opened.labels)
    for asked in filter(None, (opened, other)):
        if asked.description["trained_on_sha256"] != described["sha256"]:
            progress.say(
                f"note: {asked.description['name']} was trained on other data than this directory "
                "has; rows that it has learned from would flatter it"
            )
    encoded = opened.encode(examples, progress)
    candidate = Candidate(opened.description, opened.score(encoded, progress), opened.temperature)
    rival = None
    if other:
        theirs = other.score(other.encode(examples, progress), progress)
        rival = Candidate(other.description, theirs, other.temperature)
    rows = Rows.of(examples, [len(row.ids) for row in encoded], opened.labels)
    bootstrap = Bootstrap(rows.sources, resamples, seed)
    document = {
        **evaluate_answers(rows, candidate, bootstrap, rival),
        "data": described,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    write_report(output, document)
    for line in summary(document):
        typer.echo(line)
    progress.say(f"wrote {output / PAGE} and {REPORT}")
    if opened.description["kind"] == "run":
        _track(finished_model(model), output, progress, enabled=not no_tracking)


def _track(model: Path, output: Path, progress: Progress, *, enabled: bool) -> None:
    """Keep both files with the tracked run that made the model."""
    name, run = read_record(model).recipe.name, model.parent
    with tracked_run(
        name, run.name, progress.say, beside=run, go_on=True, enabled=enabled
    ) as tracked:
        for file in (REPORT, PAGE):
            tracked.artefact(output / file, "evaluation")


def write_report(directory: Path, document: Mapping[str, Any]) -> None:
    """Write both files, each whole or not at all. Raises StorageError when they cannot be kept."""
    # NaN is no JSON: a figure without a value is null and says why.
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    page = evaluation_page(document)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(f"{directory}: cannot be written ({exc.strerror})") from exc
    _write(directory / REPORT, text)
    _write(directory / PAGE, page)


def summary(document: Mapping[str, Any]) -> list[str]:
    """The figures as lines for a terminal or a program."""
    lines = []
    for key, figure in document["metrics"].items():
        if figure["value"] is None:
            lines.append(f"{key} undefined: {figure['reason']}")
            continue
        line = f"{key} {figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"
        if document["against"]:
            difference = document["against"]["difference"][key]
            line += f", {difference['verdict']}: {difference['value']:+.4f} against the other"
        lines.append(line)
    return lines


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda stage: stage.write_text(text, encoding="utf-8"))

"""``weir-train export`` and ``compare``: graphs of finished models, and a table of candidates."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from training.candidates import candidates, markdown_table, turns
from training.domain import ExportError, InputError
from training.exported import Quantisation, read_exported
from training.prepared_data import PreparedData, read_prepared
from training.progress import Progress
from training.staged_directory import write_whole
from training.terminal import terminal_progress
from training.training_record import finished_model

Quantised = Annotated[
    Quantisation,
    typer.Option(
        help="static: int8 with fixed scales, texts may share a run; dynamic: int8, each text "
        "alone; none: fp32.",
    ),
]
Projected = Annotated[
    bool,
    typer.Option(help="Also give the pooled hidden state in 64 dimensions, for drift watch."),
]


def export_command(
    run: Annotated[Path, typer.Argument(help="A directory that fit wrote.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Prepared data: train rows fix the scales of activations, all dev rows are "
            "measured."
        ),
    ],
    quantisation: Quantised = "static",
    projection: Projected = True,
    max_megabytes: Annotated[
        float | None, typer.Option(help="Fail when the served graph is larger (10^6 bytes).")
    ] = None,
) -> None:
    """Make the graphs of a finished model, and prove that they may be served.

    weir-train export .weir/run --data .weir/data

    Writes fused.onnx (fp32), int8.onnx and export.json into the run's model/: parity with PyTorch
    on every dev row, accuracy by source, the temperature, latency and throughput of both graphs.
    Exit code 1: a check failed (export.json says which), and the model cannot be registered.
    """
    run_export(
        run,
        read_prepared(data),
        terminal_progress(),
        quantisation=quantisation,
        projection=projection,
        max_megabytes=max_megabytes,
    )


def run_export(
    run: Path,
    data: PreparedData,
    progress: Progress,
    *,
    quantisation: Quantisation,
    projection: bool,
    max_megabytes: float | None = None,
) -> None:
    """Export and say how it went. Raises ExportError when a check failed."""
    # Imported late: torch takes seconds, and neither --help nor a typing error should wait for it.
    from training.export import ExportOptions, export_model
    from training.graph_figures import Clocks

    options = ExportOptions(quantisation, projection, max_megabytes)
    exported = export_model(run, data, options, progress, Clocks())
    for check in exported.checks:
        progress.say(str(check))
    progress.say(markdown_table(candidates([exported])))
    progress.say(f"wrote {exported.directory}")
    if exported.failed:
        raise ExportError(f"{run}: " + "; ".join(str(check) for check in exported.failed))


def compare_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Exported runs; the first one's fp32 graph is 1 ×.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared data: run all graphs in turn over its dev rows, on all cores."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file for the table: .md, and .json beside it.")
    ] = None,
) -> None:
    """Compare exported models: layers, vocabulary, accuracy by source, milliseconds, megabytes.

    weir-train compare .weir/six .weir/four .weir/three --data .weir/data --output candidates.md

    Milliseconds come from each run's own export, when the machine may have had other work: give
    --data to let all graphs take turns in this process, and believe the ratios.
    """
    exports = [read_exported(finished_model(run)) for run in runs]
    if len({of.labels for of in exports}) > 1:
        raise InputError("the runs have different labels: there is nothing to compare")
    progress = terminal_progress()
    names = [run.resolve().name for run in runs]
    measured = None
    if data is not None:
        progress.say("all graphs take turns over the same dev rows")
        dev = read_prepared(data).splits["dev"]
        measured = turns(exports, dev, time.perf_counter, progress)
    table = candidates(exports, names, measured)
    text = markdown_table(table)
    progress.say(text)
    if output is not None:
        described = json.dumps(table, indent=2) + "\n"
        write_whole(output, lambda stage: stage.write_text(text + "\n", encoding="utf-8"))
        write_whole(
            output.with_suffix(".json"),
            lambda stage: stage.write_text(described, encoding="utf-8"),
        )
        progress.say(f"wrote {output} and {output.with_suffix('.json').name}")

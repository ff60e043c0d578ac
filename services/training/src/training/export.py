"""Turns a finished model into graphs that may be served, or says why they may not.

Everything is measured on the whole dev part: whether the float graph is the model, what
quantisation costs, how sure the answers are, and how fast they come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.calibration import calibrate
from training.dev_sets import by_source
from training.domain import Example, InputError
from training.encoded_rows import EncodedRow, encode_rows
from training.exported import (
    EXPORT,
    INT8,
    Batching,
    Check,
    Exported,
    Quantisation,
    write_exported,
)
from training.float_noise import with_float_noise
from training.graph_parity import (
    Answers,
    Logits,
    graph_logits,
    mates_difference,
    model_logits,
    parity_checks,
    source_metrics,
)
from training.graph_speed import latency, throughput
from training.onnx_classifier import open_session
from training.prepared_data import PreparedData
from training.progress import Progress
from training.provenance import file_sha256
from training.served_graphs import (
    calibration_rows,
    exportable,
    projection_of,
    write_fused,
    write_quantised,
)
from training.text_classifier import TextClassifier
from training.tokenizer import load_tokenizer
from training.training_recipe import Model
from training.training_record import TOKENIZER, DataRecord, finished_model, read_record

AMONG_MATES = "largest difference of a probability among mates"
# What a shared run may move a probability by. Integer products are exact, and 1e-7 is usual; but a
# float sum over padded rows is taken in another order, and a value on the edge may then round to
# the next step. A scale that depended on mates would show as 1e-2 and more.
MATES_DIFFERENCE = 1e-3
# How many imitated CPUs the quantised graph is asked on, and on how many rows of each source.
NOISE_SEEDS = 4
NOISE_ROWS = 100
# Rows whose speed is measured, from all lengths.
SPEED_ROWS = 240
# How far a golden answer may lie from the package's on another CPU. Scales that are constant leave
# only single roundings to the float arithmetic; scales taken from the tensor move all of them.
GOLDEN_TOLERANCE = {"static": 0.01, "dynamic": 0.02, "none": 0.001}


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What kind of graph is wanted; ``max_megabytes`` (10⁶ bytes) adds a check of its size."""

    quantisation: Quantisation = "static"
    projection: bool = True
    max_megabytes: float | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: of the wall, and of this thread's processor time."""

    wall: Callable[[], float] = time.perf_counter
    thread: Callable[[], float] = time.thread_time


def export_model(
    run: Path, data: PreparedData, options: ExportOptions, progress: Progress, clocks: Clocks
) -> Exported:
    """Write graphs and ``export.json`` beside a run's model; failed checks are in the result.

    Raises InputError for a run or data that do not fit, ExportError for a graph that is not what
    it must be.
    """
    directory = finished_model(run)
    record = read_record(directory)
    settings = record.recipe.model
    if data.labels != record.labels:
        raise InputError(
            f"labels {', '.join(data.labels)} of the data, {', '.join(record.labels)} of the model"
        )
    model = exportable(directory)
    # What is written from here on is not finished before export.json is.
    (directory / EXPORT).unlink(missing_ok=True)
    projection = projection_of(model) if options.projection else None
    progress.say(f"tracing, fusing, quantising ({options.quantisation})")
    fused = write_fused(model, directory, projection)
    calibration = _encode(directory, settings, calibration_rows(data.splits["train"]), progress)
    activations = write_quantised(fused, options.quantisation, [row.ids for row in calibration])
    graphs = {"fp32": fused}
    if options.quantisation != "none":
        graphs["int8"] = directory / INT8
    served = list(graphs.values())[-1]
    batching = Batching(independent=options.quantisation != "dynamic")

    dev = data.splits["dev"]
    rows = _encode(directory, settings, dev, progress)
    answers = _ask(model, graphs, rows, progress)
    checks = list(parity_checks(answers, np.array([row.label for row in rows])))
    if batching.independent:
        difference = mates_difference(open_session(served), rows)
        checks.append(Check(AMONG_MATES, difference, MATES_DIFFERENCE, "at most"))
    if options.max_megabytes is not None:
        size = served.stat().st_size / 1e6
        checks.append(Check("megabytes", size, options.max_megabytes, "at most"))
    confidence = calibrate(
        answers.served,
        np.array([row.label for row in rows]),
        [example.text for example in dev],
        [row.source for row in rows],
    )
    temperature = confidence.temperature.value if confidence else 1.0
    metrics = source_metrics(rows, answers, temperature)
    for source, noisy in _noise(served, rows, answers.served, progress).items():
        metrics[source].update(noisy)
    progress.say("measuring speed")
    exported = Exported(
        directory=directory,
        quantisation=options.quantisation,
        labels=record.labels,
        max_tokens=settings.max_tokens,
        truncation=settings.truncation,
        temperature=temperature,
        batching=batching,
        projection=projection,
        golden_tolerance=GOLDEN_TOLERANCE[options.quantisation],
        layers=int(model.config.num_hidden_layers),
        vocabulary=int(model.config.vocab_size),
        metrics={f"{source} dev": of for source, of in metrics.items()},
        data=tuple(asdict(DataRecord.of(part)) for part in by_source(data)),
        checks=tuple(checks),
        speed=_speed(graphs, batching, rows, model, settings.max_tokens, clocks),
        confidence=asdict(confidence) if confidence else None,
        activations=activations,
        files={
            path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
            for path in graphs.values()
        },
    )
    write_exported(exported)
    return exported


def _encode(
    directory: Path, settings: Model, examples: Sequence[Example], progress: Progress
) -> list[EncodedRow]:
    return encode_rows(
        load_tokenizer(directory / TOKENIZER, settings.max_tokens),
        examples,
        max_tokens=settings.max_tokens,
        truncation=settings.truncation,
        progress=progress,
        title="encoding",
    )


def _ask(
    model: TextClassifier,
    graphs: Mapping[str, Path],
    rows: Sequence[EncodedRow],
    progress: Progress,
) -> Answers:
    of_torch = model_logits(model, rows, progress)
    cores = len(os.sched_getaffinity(0))
    fp32 = open_session(graphs["fp32"], cores)
    of_float = graph_logits(fp32, rows, "asking fp32", progress, alone=False)
    if "int8" not in graphs:
        return Answers(of_torch, of_float, of_float)
    # Alone, as a dynamic graph must be asked.
    int8 = open_session(graphs["int8"], cores)
    return Answers(
        of_torch, of_float, graph_logits(int8, rows, "asking int8", progress, alone=True)
    )


def _noise(
    path: Path, rows: Sequence[EncodedRow], served: Logits, progress: Progress
) -> dict[str, dict[str, int]]:
    """Of the first rows of each source: how many labels depend on a CPU's float arithmetic."""
    places = [
        place
        for source in sorted({row.source for row in rows})
        for place in [at for at, row in enumerate(rows) if row.source == source][:NOISE_ROWS]
    ]
    asked = [rows[place] for place in places]
    labels = served[places].argmax(axis=1)
    changed = np.zeros(len(asked), dtype=bool)
    for seed in range(NOISE_SEEDS):
        session = open_session(with_float_noise(path, seed))
        title = f"imitating another CPU ({seed + 1} of {NOISE_SEEDS})"
        changed |= labels != graph_logits(session, asked, title, progress, alone=True).argmax(
            axis=1
        )
    return {
        source: {
            "noise_rows": sum(row.source == source for row in asked),
            "noise_changed_labels": sum(
                bool(moved)
                for row, moved in zip(asked, changed, strict=True)
                if row.source == source
            ),
        }
        for source in {row.source for row in asked}
    }


def _speed(
    graphs: Mapping[str, Path],
    batching: Batching,
    rows: Sequence[EncodedRow],
    model: TextClassifier,
    max_tokens: int,
    clocks: Clocks,
) -> dict[str, Any]:
    """Latency by length on one thread, and throughput over dev rows on all cores."""
    ids = [row.ids for row in rows[:: max(1, len(rows) // SPEED_ROWS)]]
    cores = len(os.sched_getaffinity(0))
    items = dict.fromkeys(graphs, batching.max_items)
    if not batching.independent:
        items["int8"] = 1
    return {
        "latency": latency(graphs, max_tokens, int(model.config.vocab_size), clocks.thread),
        "throughput": throughput(
            {name: (path, items[name]) for name, path in graphs.items()},
            dict.fromkeys(graphs, ids),
            cores,
            clocks.wall,
        ),
        "rows": len(ids),
        "cores": cores,
    }

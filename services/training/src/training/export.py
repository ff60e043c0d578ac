"""Turns a finished model into graphs that may be served, or says why they may not.

Everything is measured on the whole dev part: whether the float graph is the model, what
quantisation costs, how sure the answers are, and how fast they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

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
from training.graph_figures import Clocks, ask, noise, speed
from training.graph_parity import (
    mates_difference,
    parity_checks,
    source_metrics,
)
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
from training.tokenizer import load_tokenizer
from training.training_recipe import Model
from training.training_record import TOKENIZER, DataRecord, finished_model, read_record

AMONG_MATES = "largest difference of a probability among mates"
# What a shared run may move a probability by. Seen were 1e-7, from the pooling's float sum over
# padded rows; a scale that depends on mates moved one by 0.2.
MATES_DIFFERENCE = 1e-5
# How far a golden answer may lie from the package's on another CPU. Scales that are constant leave
# only single roundings to the float arithmetic; scales taken from the tensor move all of them.
GOLDEN_TOLERANCE = {"static": 0.01, "dynamic": 0.02, "none": 0.001}


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What kind of graph is wanted; ``max_megabytes`` (10⁶ bytes) adds a check of its size."""

    quantisation: Quantisation = "static"
    projection: bool = True
    max_megabytes: float | None = None


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
    answers = ask(model, graphs, rows, progress, independent=batching.independent)
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
    for source, steadiness in noise(
        served, rows, answers.served, progress, independent=batching.independent
    ).items():
        metrics[source].update(steadiness)
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
        speed=speed(graphs, batching, rows, model, settings.max_tokens, clocks),
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

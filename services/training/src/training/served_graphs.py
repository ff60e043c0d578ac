"""Makes the graphs of a finished model: traced, fused, quantised."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from training.domain import Example, InputError
from training.exported import FUSED, INT8, Projection, Quantisation
from training.onnx_export import export_onnx
from training.quantise import fuse, quantise
from training.static_quantisation import quantise_static
from training.text_classifier import TextClassifier, load_classifier

# Enough for steady scales: twice as many moved no scale by more than some percent.
CALIBRATION_ROWS = 320
CALIBRATION_SEED = 7
PROJECTED = 64


def exportable(directory: Path) -> TextClassifier:
    """Load a finished model for tracing. Raises InputError when it is no BERT."""
    model = load_classifier(directory, attention="eager")
    if model.config.model_type != "bert":
        raise InputError(f"{directory}: a {model.config.model_type} model; only BERT is fused")
    return model


def projection_of(model: TextClassifier) -> Projection:
    """As many dimensions as the pooled state has, and no more than 64."""
    return Projection(dimensions=min(PROJECTED, int(model.config.hidden_size)))


def write_fused(model: TextClassifier, directory: Path, projection: Projection | None) -> Path:
    """Write the fused float graph. Raises ExportError when it is not what the model is."""
    traced, fused = directory / "traced.onnx", directory / FUSED
    try:
        export_onnx(model, traced, dimensions=projection.dimensions if projection else 0)
        fuse(
            traced,
            fused,
            layers=int(model.config.num_hidden_layers),
            heads=int(model.config.num_attention_heads),
            hidden_size=int(model.config.hidden_size),
        )
    finally:
        traced.unlink(missing_ok=True)
    return fused


def write_quantised(
    fused: Path, quantisation: Quantisation, calibration: Sequence[npt.NDArray[np.int32]]
) -> dict[str, Any] | None:
    """Write the int8 graph beside a fused one; return where the scales of a static one come from.

    ``calibration`` are token ids of real rows. Raises ExportError for a graph that is not
    quantised whole.
    """
    target = fused.with_name(INT8)
    layers = sum(node.op_type == "Attention" for node in onnx.load(str(fused)).graph.node)
    if quantisation == "dynamic":
        quantise(fused, target, layers=layers)
    elif quantisation == "static":
        scales = quantise_static(fused, target, calibration, layers=layers)
        return {
            "rows": len(calibration),
            "seed": CALIBRATION_SEED,
            "divided": sum(scale.divisors is not None for scale in scales.values()),
            "errors": {name: round(scale.error, 5) for name, scale in scales.items()},
            "onnxruntime": onnxruntime.__version__,
        }
    else:
        target.unlink(missing_ok=True)
    return None


def calibration_rows(rows: Sequence[Example]) -> list[Example]:
    """Train rows to take scales from: of each source as many, chosen by a seed."""
    by_source: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    share = max(1, CALIBRATION_ROWS // max(1, len(by_source)))
    # Reproducible is what this choice has to be, not secret.
    chooser = random.Random(CALIBRATION_SEED)  # noqa: S311
    return [
        row
        for _, rows_of in sorted(by_source.items())
        for row in chooser.sample(rows_of, min(share, len(rows_of)))
    ]

"""Traces a fine-tuned model into an ONNX graph and proves that both say the same."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from training.domain import ExportError
from training.text_classifier import TextClassifier

OPSET = 17
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
TOLERANCE = 1e-4


def export_onnx(model: TextClassifier, path: Path) -> None:
    """Write ``model`` to ``path`` with dynamic batch and sequence axes.

    Raises ExportError when the graph's logits differ from torch's by more than 1e-4 on shapes and
    paddings other than the traced one.
    """
    model.eval()
    ids, mask = _probe(batch=2, width=9, padding=3)
    with warnings.catch_warnings():
        # The fusion patterns of onnxruntime know the graphs of the tracing exporter. Its warnings
        # say that it is old and that a trace may not generalise; the check below shows it does.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        warnings.filterwarnings("ignore", "Exporting aten::index", UserWarning)
        torch.onnx.export(
            model,
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={
                INPUTS[0]: {0: "batch", 1: "sequence"},
                INPUTS[1]: {0: "batch", 1: "sequence"},
                OUTPUT: {0: "batch"},
            },
        )
    difference = parity(model, path)
    if difference > TOLERANCE:
        raise ExportError(f"{path.name}: logits differ from torch by {difference:.2e}")


def parity(model: TextClassifier, path: Path) -> float:
    """The largest absolute difference between the logits of ``model`` and of a graph.

    The model is put in eval mode. Probed with one row and with several, short and at the length
    limit, with and without padding.
    """
    model.eval()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    longest = min(256, model.max_tokens)
    worst = 0.0
    for batch, width, padding in ((1, 3, 0), (1, longest, 0), (3, 17, 0), (4, 24, 20)):
        ids, mask = _probe(batch, width, padding)
        with torch.inference_mode():
            expected = model(ids, mask).numpy()
        (found,) = session.run([OUTPUT], {INPUTS[0]: ids.numpy(), INPUTS[1]: mask.numpy()})
        worst = max(worst, float(np.abs(expected - np.asarray(found)).max()))
    return worst


def _probe(batch: int, width: int, padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    # Any ids do; low ones exist in every vocabulary. The last row carries the padding.
    ids = torch.arange(batch * width).reshape(batch, width) % 5
    mask = torch.ones_like(ids)
    if padding:
        mask[-1, -padding:] = 0
    return ids, mask

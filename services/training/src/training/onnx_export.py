"""Traces a fine-tuned model into an ONNX graph and proves that both say the same.

Besides the logits a graph can give a projection of the pooled hidden state: what a drift watch
needs to see inputs move in a way that probabilities do not show.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from training.domain import ExportError
from training.text_classifier import TextClassifier

OPSET = 17
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
PROJECTION = "projection"
TOLERANCE = 1e-4
# The projection is the same for all models of a width, so that versions can be compared.
PROJECTION_SEED = 20261121


class _Served(torch.nn.Module):
    """The model with both outputs."""

    def __init__(self, model: TextClassifier, dimensions: int) -> None:
        super().__init__()
        self.model = model
        matrix = projection_matrix(int(model.config.hidden_size), dimensions)
        self.register_buffer("matrix", torch.from_numpy(matrix))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.model.pooled(ids, mask)
        return self.model.head.logits(pooled), torch.matmul(pooled, self.matrix)


def projection_matrix(width: int, dimensions: int) -> npt.NDArray[np.float32]:
    """A fixed random ``[width, dimensions]`` matrix with orthonormal columns.

    Distances shrink alike in all directions (Johnson and Lindenstrauss, 1984).
    """
    normal = np.random.default_rng(PROJECTION_SEED).standard_normal((width, dimensions))
    columns, triangle = np.linalg.qr(normal)
    # The factorisation leaves the signs open, and libraries differ.
    signed: npt.NDArray[np.float32] = (columns * np.sign(np.diag(triangle))).astype(np.float32)
    return signed


def export_onnx(model: TextClassifier, path: Path, *, dimensions: int = 0) -> None:
    """Write ``model`` to ``path`` with dynamic batch and sequence axes.

    ``dimensions`` of the pooled hidden state are given as a second output, when there are any.
    Raises ExportError when the graph's logits differ from torch's by more than 1e-4 on shapes and
    paddings other than the traced one.
    """
    model.eval()
    ids, mask = _probe(batch=2, width=9, padding=3)
    outputs = [OUTPUT, PROJECTION] if dimensions else [OUTPUT]
    with warnings.catch_warnings():
        # The fusion patterns of onnxruntime know the graphs of the tracing exporter. Its warnings
        # say that it is old and that a trace may not generalise; the check below shows it does.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        warnings.filterwarnings("ignore", "Exporting aten::index", UserWarning)
        torch.onnx.export(
            _Served(model, dimensions).eval() if dimensions else model,
            (ids, mask),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=outputs,
            dynamic_axes={name: {0: "batch", 1: "sequence"} for name in INPUTS}
            | {name: {0: "batch"} for name in outputs},
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

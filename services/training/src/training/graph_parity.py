"""Holds the graphs against the model that they stand for, on every dev row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from training.classification_scores import confusion, macro_f1
from training.encoded_rows import EncodedRow
from training.exported import Check
from training.onnx_classifier import run_logits
from training.probabilities import Logits, softmax

# How far float arithmetic in another order may move a probability.
FLOAT_DIFFERENCE = 1e-4
# What quantisation may cost: half a point of accuracy, and one answer in a hundred another one.
ACCURACY_LOSS = 0.005
AGREEMENT = 0.99
# Rows that are asked again among mates, from all lengths.
MATES_ROWS = 48


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits ``[rows, labels]`` to the same rows, of torch, the float graph and the served one."""

    torch: Logits
    fp32: Logits
    served: Logits


def mates_difference(session: onnxruntime.InferenceSession, rows: Sequence[EncodedRow]) -> float:
    """How far a probability moves when a row shares its run with longer and shorter rows."""
    by_length = sorted(rows, key=lambda row: len(row.ids))
    chosen = by_length[:: max(1, len(rows) // MATES_ROWS)]
    # Neighbours in this order are as different in length as can be.
    half = len(chosen) // 2
    worst = 0.0
    for pair in zip(chosen[:half], chosen[half:], strict=False):
        together = softmax(run_logits(session, [row.ids for row in pair]))
        alone = softmax(np.concatenate([run_logits(session, [row.ids]) for row in pair]))
        worst = max(worst, float(np.abs(together - alone).max()))
    return worst


def parity_checks(answers: Answers, labels: npt.NDArray[np.int64]) -> tuple[Check, ...]:
    """The float graph against torch, and the served graph against the float one."""
    difference = float(np.abs(softmax(answers.torch) - softmax(answers.fp32)).max())
    float_labels, served_labels = answers.fp32.argmax(axis=1), answers.served.argmax(axis=1)
    loss = float((float_labels == labels).mean() - (served_labels == labels).mean())
    return (
        Check("fp32 largest difference of a probability from torch", difference,
              FLOAT_DIFFERENCE, "at most"),
        Check("accuracy lost by quantisation", loss, ACCURACY_LOSS, "at most"),
        Check("agreement with fp32", float((float_labels == served_labels).mean()),
              AGREEMENT, "at least"),
    )  # fmt: skip


def source_metrics(
    rows: Sequence[EncodedRow], answers: Answers, temperature: float
) -> dict[str, dict[str, Any]]:
    """Figures of each source, in alphabetical order.

    ``labels_sha256`` is the digest of the predicted label indices as one ASCII string ("0110…"), in
    the order of the rows: it tells at once whether every answer elsewhere is the same.
    """
    labels = np.array([row.label for row in rows])
    sources = np.array([row.source for row in rows])
    figures: dict[str, dict[str, Any]] = {}
    for source in sorted(set(sources.tolist())):
        here = sources == source
        right, predicted = labels[here], answers.served[here].argmax(axis=1)
        of_float = answers.fp32[here].argmax(axis=1)
        shares = {
            "accuracy": (predicted == right).mean(),
            "f1": macro_f1(confusion(right, predicted, answers.served.shape[1])),
            "mean_confidence": softmax(answers.served[here], temperature).max(axis=1).mean(),
            "fp32_accuracy": (of_float == right).mean(),
            "agreement": (predicted == of_float).mean(),
        }
        figures[source] = {
            "rows": int(here.sum()),
            **{name: round(float(share), 6) for name, share in shares.items()},
            "labels_sha256": hashlib.sha256("".join(map(str, predicted)).encode()).hexdigest(),
        }
    return figures

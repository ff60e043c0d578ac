"""Measures a model on dev rows, source by source, while it is trained."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from training.classification_scores import accuracy, confusion, macro_f1
from training.encoded_rows import EncodedRow
from training.probabilities import log_losses
from training.text_classifier import TextClassifier
from training.torch_scoring import torch_logits

Scores = dict[str, dict[str, float]]


def measure(
    model: TextClassifier,
    rows: Sequence[EncodedRow],
    *,
    rows_per_batch: int,
    tokens_per_batch: int,
    device: torch.device,
) -> Scores:
    """Rows, mean loss, accuracy and macro F1 of every source, in alphabetical order."""
    logits = torch_logits(
        model,
        rows,
        rows_per_batch=rows_per_batch,
        tokens_per_batch=tokens_per_batch,
        device=device,
    )
    labels = np.array([row.label for row in rows], np.int64)
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_source[row.source].append(index)
    scores: Scores = {}
    for source, places in sorted(by_source.items()):
        predicted = logits[places].argmax(axis=1)
        matrix = confusion(labels[places], predicted, logits.shape[1])
        scores[source] = {
            "rows": len(places),
            "loss": float(log_losses(logits[places], labels[places]).mean()),
            "accuracy": float(accuracy(matrix)),
            "f1": float(macro_f1(matrix)),
        }
    return scores


def mean_over_sources(scores: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """The mean of one metric, each source counting the same."""
    return statistics.fmean(of[metric] for of in scores.values())

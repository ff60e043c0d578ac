"""Measures a model on dev rows, source by source, while it is trained."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from training.batches import sorted_batches
from training.encoded_rows import EncodedRow, make_batch
from training.text_classifier import TextClassifier

Scores = dict[str, dict[str, float]]


def measure(
    model: TextClassifier,
    rows: Sequence[EncodedRow],
    *,
    rows_per_batch: int,
    tokens_per_batch: int,
    device: torch.device,
) -> Scores:
    """Rows, mean loss, accuracy and macro F1 of every source, in alphabetical order.

    The model is put into eval mode and back. Always in fp32, so that precisions can be compared.
    """
    was_training = model.training
    model.eval()
    predicted, losses = [0] * len(rows), [0.0] * len(rows)
    lengths = [len(row.ids) for row in rows]
    with torch.inference_mode():
        for indices in sorted_batches(lengths, rows=rows_per_batch, tokens=tokens_per_batch):
            batch = make_batch(rows, indices, model.pad_id, device)
            logits = model(batch.ids, batch.mask)
            row_losses = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")
            for index, label, loss in zip(
                indices, logits.argmax(-1).tolist(), row_losses.tolist(), strict=True
            ):
                predicted[index], losses[index] = label, loss
    model.train(was_training)
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_source[row.source].append(index)
    return {
        source: {
            "rows": len(indices),
            "loss": statistics.fmean(losses[index] for index in indices),
            "accuracy": statistics.fmean(predicted[i] == rows[i].label for i in indices),
            "f1": _macro_f1([(predicted[index], rows[index].label) for index in indices]),
        }
        for source, indices in sorted(by_source.items())
    }


def mean_over_sources(scores: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """The mean of one metric, each source counting the same."""
    return statistics.fmean(of[metric] for of in scores.values())


def _macro_f1(pairs: Sequence[tuple[int, int]]) -> float:
    # The mean over all labels that occur of F1 = 2·TP / (2·TP + FP + FN).
    scores = []
    for label in sorted({label for pair in pairs for label in pair}):
        both = sum(pair == (label, label) for pair in pairs)
        scores.append(2 * both / sum(pair.count(label) for pair in pairs))
    return statistics.fmean(scores)

"""Scores of predicted labels and probabilities; every one may be asked for many resamples at once.

Resamples are weights: ``[resamples, rows]``, how often each row was drawn. The rows as they are
have the weight 1 each.
"""

from __future__ import annotations

import numpy as np

from training.probabilities import Floats, Integers


def confusion(
    labels: Integers, predicted: Integers, classes: int, weights: Floats | None = None
) -> Floats:
    """Counts ``[…, true label, predicted label]``; ``weights`` is ``[…, rows]``."""
    cells = np.zeros((len(labels), classes * classes))
    cells[np.arange(len(labels)), labels * classes + predicted] = 1.0
    counts = cells.sum(axis=0) if weights is None else weights @ cells
    return np.asarray(counts.reshape(*counts.shape[:-1], classes, classes), np.float64)


def accuracy(matrix: Floats) -> Floats:
    """The share of rows on the diagonal of ``[…, classes, classes]``."""
    return _ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def precision(matrix: Floats) -> Floats:
    """Per label, the share of the rows predicted so that are so; NaN where none was predicted."""
    return _ratio(_hits(matrix), matrix.sum(axis=-2))


def recall(matrix: Floats) -> Floats:
    """Per label, the share of its rows that were predicted so; NaN where there are none."""
    return _ratio(_hits(matrix), matrix.sum(axis=-1))


def f1(matrix: Floats) -> Floats:
    """Per label 2·TP / (2·TP + FP + FN); NaN for a label that is neither there nor predicted."""
    return _ratio(2 * _hits(matrix), matrix.sum(axis=-2) + matrix.sum(axis=-1))


def macro_f1(matrix: Floats) -> Floats:
    """The mean F1 over the labels that occur among true or predicted ones."""
    scores = f1(matrix)
    known = ~np.isnan(scores)
    return _ratio(np.where(known, scores, 0.0).sum(axis=-1), known.sum(axis=-1))


def roc_auc(positive: Floats, scores: Floats, weights: Floats) -> Floats:
    """The chance that a positive row scores above a negative one, a tie counting half.

    ``positive`` is 1.0 or 0.0 per row; ``weights`` is ``[resamples, rows]``. NaN for a resample
    without one of both. Hanley and McNeil, 1982: the area under the ROC curve.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    drawn = weights[:, order]
    # Rows of one score are one step of the curve.
    above = np.add.reduceat(drawn * positive[order], starts, axis=1)
    below = np.add.reduceat(drawn * (1 - positive[order]), starts, axis=1)
    pairs = (above * (below.cumsum(axis=1) - below / 2)).sum(axis=1)
    return _ratio(pairs, above.sum(axis=1) * below.sum(axis=1))


def roc_curve(positive: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates from (0, 0) to (1, 1) as the threshold falls."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    hits, alarms = positive[order].cumsum()[last], (1 - positive[order]).cumsum()[last]
    rates = [np.concatenate([[0.0], steps / steps[-1]]) for steps in (alarms, hits)]
    return rates[0], rates[1]


def _hits(matrix: Floats) -> Floats:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        quotient: Floats = np.divide(
            part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0
        )
    return quotient

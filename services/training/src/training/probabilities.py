"""Logits to probabilities, and what they cost where they are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Logits = npt.NDArray[np.floating[Any]]


def softmax(logits: Logits, temperature: float = 1.0) -> Floats:
    """Probabilities (float64, sum 1) along the last axis of ``[…, labels]`` logits.

    Logits are divided by ``temperature`` first: above 1 softens, below 1 sharpens; the order of
    the labels stays (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """
    return np.exp(_log_softmax(logits, temperature))


def log_losses(logits: Logits, labels: Integers, temperature: float = 1.0) -> Floats:
    """Minus the natural logarithm of each row's probability of its own label, ``[rows]``."""
    logs = _log_softmax(logits, temperature)
    losses: Floats = -logs[np.arange(len(labels)), labels]
    return losses


def _log_softmax(logits: Logits, temperature: float) -> Floats:
    scaled = logits.astype(np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs

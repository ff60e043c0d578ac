"""Chooses how each activation is quantised: by the error of the product that it goes into.

A few channels of a BERT's activations are ten times as large as the others, and one scale for all
of them leaves the others a handful of steps. So channels may be divided by numbers of their own
before they are rounded, and the weight's rows multiplied by the same (Xiao et al., "SmoothQuant",
2023): the product stays, the error moves into the weights, which have a scale per column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.activation_ranges import Floats, Observed, Product

# Shares of the spread of channels that move into the weights; 0: none.
STRENGTHS = (0.0, 0.35, 0.5, 0.65, 0.8)
# What of the seen range is kept: rarer values are clipped, for finer steps.
KEPT = (1.0, 0.9, 0.8, 0.65, 0.5)
# A division is one more pass over the activation: it must take this much of the error away.
WORTH = 0.8
# Weights have 7 bits: see quantise.
WEIGHT_STEPS = 64
ACTIVATION_STEPS = 255
# Tokens on which choices are compared.
TOKENS = 512
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """How one activation becomes uint8: ``round(x / divisors / step) + zero``.

    ``divisors`` is one number a channel, or None; ``error`` the root mean square of the product's
    error over that of the product.
    """

    step: np.float32
    zero: np.uint8
    divisors: Floats | None
    error: float


def choose_scale(product: Product, seen: Observed) -> Scale:
    """The scale with the least error of the product on the tokens seen."""
    tokens = np.concatenate(seen.tokens)
    tokens = tokens[:: max(1, len(tokens) // TOKENS)]
    exact = tokens @ product.matrix
    best: dict[bool, Scale] = {}
    for strength in STRENGTHS:
        divisors = _divisors(product.matrix, seen, strength)
        weights = _rounded_weights(product.matrix * divisors[:, None])
        low, high = (seen.low / divisors).min(), (seen.high / divisors).max()
        for kept in KEPT:
            step, zero = _step_and_zero(low * kept, high * kept)
            rounded = (np.rint(tokens / divisors / step) + zero).clip(0, ACTIVATION_STEPS)
            off = (rounded - zero) * step @ weights - exact
            error = float(np.sqrt(np.square(off).mean() / max(np.square(exact).mean(), LEAST)))
            divided = strength > 0
            if divided not in best or error < best[divided].error:
                best[divided] = Scale(step, zero, divisors if divided else None, error)
    return best[True] if best[True].error < WORTH * best[False].error else best[False]


def _divisors(matrix: Floats, seen: Observed, strength: float) -> Floats:
    channels = np.maximum(np.maximum(-seen.low, seen.high), LEAST)
    rows = np.maximum(np.abs(matrix).max(axis=1), LEAST)
    logs = strength * np.log(channels) - (1 - strength) * np.log(rows)
    if not strength:
        logs = np.zeros_like(logs)
    # Only their ratios matter; around 1 they lose no digits.
    divisors: Floats = np.exp(logs - logs.mean()).astype(np.float32)
    return divisors


def _rounded_weights(matrix: Floats) -> Floats:
    steps = np.maximum(np.abs(matrix).max(axis=0), LEAST) / WEIGHT_STEPS
    rounded: Floats = (np.rint(matrix / steps) * steps).astype(np.float32)
    return rounded


def _step_and_zero(low: np.float32, high: np.float32) -> tuple[np.float32, np.uint8]:
    # Zero must be exact: an activation may have padding or nothing at all.
    step = np.float32(max(float(high - low), LEAST) / ACTIVATION_STEPS)
    return step, np.uint8(np.clip(np.rint(-low / step), 0, ACTIVATION_STEPS))

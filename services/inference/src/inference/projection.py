"""Makes pooled hidden states small enough to put on every record."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference.domain import Projection

_LARGEST = 127
_MOST_DIMENSIONS = 256


def projections(states: npt.NDArray[np.float32] | None, texts: int) -> Sequence[Projection | None]:
    """One for each of the states [texts, dimensions]; None without states that can be kept.

    A text's own largest value is 127: what is lost is at most 0.4 % of it in each dimension.
    """
    if states is None or states.ndim != 2 or not 0 < states.shape[1] <= _MOST_DIMENSIONS:
        return [None] * texts
    with np.errstate(invalid="ignore"):
        scales = np.abs(states).max(axis=1) / _LARGEST
        usable = np.isfinite(scales)
        divisors = np.where(usable & (scales > 0), scales, 1.0)
        values = np.rint(np.where(usable[:, None], states / divisors[:, None], 0)).astype(np.int8)
    return [
        Projection(row.tobytes(), scale) if kept else None
        for row, scale, kept in zip(values, scales.tolist(), usable.tolist(), strict=True)
    ]

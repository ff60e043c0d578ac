"""Looks for sudden breaks, prediction by prediction, where windows would take their time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from drift.change_detector import ChangeDetector, ControlLimit, Direction
from drift.signals import CONFIDENCE, SignalReference

FEEDBACK_ERROR = "feedback_error"
"""1 where feedback named another label than the predicted one, else 0."""
_FEWEST_ROWS = 200
"""Of the reference: with fewer its own mean is too uncertain to stand for ever after."""
_MOST_CACHED = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the sums of a detector stand, and since when."""

    up: float = 0.0
    down: float = 0.0
    up_rows: int = 0
    down_rows: int = 0
    up_since: datetime | None = None
    down_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """A signal broke away."""

    signal: str
    direction: Direction
    began_at: datetime
    """When the sum last stood at zero: most likely then."""
    found_at: datetime


Standings = Mapping[str, Standing]
"""By signal."""


class BreakWatch:
    """Detectors of a run length, calibrated on references.

    Args:
        run_length: rows of one signal without any break in which there is one false alarm on
            average; 0 looks for none.
    """

    def __init__(self, run_length: int) -> None:
        self._run_length = run_length
        self._limits: dict[int, tuple[SignalReference, dict[str, ControlLimit]]] = {}

    def limits(self, reference: SignalReference) -> Mapping[str, ControlLimit]:
        """The limits of a reference; the first time takes a second."""
        if not self._run_length:
            return {}
        known = self._limits.get(id(reference))
        if known is None:
            if len(self._limits) >= _MOST_CACHED:
                del self._limits[next(iter(self._limits))]
            # The reference is kept, so that no other takes its identity.
            known = self._limits[id(reference)] = (reference, self._calibrated(reference))
        return known[1]

    def look(
        self,
        limits: Mapping[str, ControlLimit],
        standings: Standings,
        signal: str,
        values: Sequence[float],
        times: Sequence[datetime],
    ) -> tuple[Standings, list[Break]]:
        """Takes rows of a signal in their order; returns the standings after them, and breaks."""
        limit = limits.get(signal)
        finite = [place for place, value in enumerate(values) if math.isfinite(value)]
        if limit is None or not finite:
            return standings, []
        at = [times[place] for place in finite]
        before = standings.get(signal, Standing())
        detector = ChangeDetector(limit, before.up, before.down, before.up_rows, before.down_rows)
        breaks = []
        for change in detector.update(np.array([values[place] for place in finite])):
            since = before.up_since if change.direction is Direction.UP else before.down_since
            first = change.place - change.rows_ago + 1
            began = at[first] if first >= 0 else since or at[0]
            breaks.append(Break(signal, change.direction, began, at[change.place]))
        after = Standing(
            detector.up,
            detector.down,
            detector.up_rows,
            detector.down_rows,
            _since(detector.up_rows, at, before.up_since),
            _since(detector.down_rows, at, before.down_since),
        )
        return {**standings, signal: after}, breaks

    def _calibrated(self, reference: SignalReference) -> dict[str, ControlLimit]:
        limits = {}
        confidence = reference.window.number(CONFIDENCE)
        if confidence is not None and confidence.moments.rows >= _FEWEST_ROWS:
            values, weights = confidence.weighted_values()
            if values.min() < values.max():
                limits[CONFIDENCE.name] = ControlLimit.calibrated(
                    values, weights.astype(np.float64), self._run_length
                )
        known = reference.known
        if known is not None and known.rows >= _FEWEST_ROWS and 0 < known.accuracy.value < 1:
            right = known.accuracy.value
            limits[FEEDBACK_ERROR] = ControlLimit.calibrated(
                np.array([0.0, 1.0]), np.array([right, 1 - right]), self._run_length
            )
        return limits


def _since(rows: int, at: Sequence[datetime], before: datetime | None) -> datetime | None:
    """When the first of the last `rows` rows was; it may have come before these."""
    if not rows:
        return None
    return at[-rows] if rows <= len(at) else before or at[0]

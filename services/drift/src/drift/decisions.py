"""Deciders of the references in use, kept with the nulls that they have drawn."""

import threading
from collections.abc import Mapping

from drift.decision import Decider
from drift.domain import ModelVersion
from drift.signals import SignalReference, SignalWindow
from drift.verdict import SmallestEffects, State, Verdict

_MOST_KEPT = 20


class Decisions:
    """Concludes about windows of any model version; on one thread at a time.

    Args:
        minimum_rows: that a signal needs on each side.
        q: false discovery rate within a window.
    """

    def __init__(self, *, minimum_rows: int, q: float, smallest: SmallestEffects) -> None:
        self._minimum_rows = minimum_rows
        self._q = q
        self.smallest = smallest
        self._lock = threading.Lock()
        self._kept: dict[ModelVersion, tuple[SignalReference, Decider]] = {}

    def decide(self, reference: SignalReference, window: SignalWindow) -> tuple[Verdict, ...]:
        """The verdicts on a window of the version that the reference is of."""
        with self._lock:
            return self._decide(reference, window)

    def _decide(self, reference: SignalReference, window: SignalWindow) -> tuple[Verdict, ...]:
        about = reference.about
        known, decider = self._kept.pop(about, (None, None))
        if decider is None or known is not reference:
            decider = Decider(
                reference, minimum_rows=self._minimum_rows, q=self._q, smallest=self.smallest
            )
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[about] = (reference, decider)
        return decider.decide(about, window)


def statistics(verdict: Verdict) -> Mapping[str, float]:
    """A verdict as plain numbers, by name; `drift` is 1 or 0. Empty without a test."""
    if verdict.finding is None:
        return {}
    effect = verdict.finding.effect
    return {
        "drift": float(verdict.state is State.DRIFT),
        "effect": effect.value,
        "effect_lower": effect.lower,
        "effect_upper": effect.upper,
        "p_value": verdict.finding.p_value,
        "minimum_detectable_effect": verdict.finding.detectable,
    }

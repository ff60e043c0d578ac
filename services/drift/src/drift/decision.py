"""Concludes from a reference and a window what has drifted."""

import math
from collections.abc import Mapping

import numpy as np

from drift.block_null import BlockNulls, Stretches
from drift.category_counts import CategoryCounts
from drift.distinct_inputs import DistinctInputs
from drift.domain import Estimate, ModelVersion
from drift.findings import (
    as_repetitions,
    category_finding,
    detectable_shift,
    left_constant_finding,
    ratio_finding,
)
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.number_drift import NumberScale, NumberTest
from drift.rank_process import effective_rows
from drift.signals import ACCURACY, Held, SignalReference, SignalWindow, Watched
from drift.vector_drift import FEWEST_VECTORS, VectorTest
from drift.vector_reservoir import VectorReservoir
from drift.verdict import Finding, SmallestEffects, State, Verdict, rejected


class Decider:
    """Decides about windows of one model version.

    Making it is cheap; the first window of a size costs half a second, in which the nulls are
    drawn, each later one milliseconds.

    Args:
        minimum_rows: that a signal needs on each side.
        q: false discovery rate within a window (Benjamini and Hochberg). Without any drift it is
            the share of windows in which anything is called drift. Where rows depend on each other
            (the reference has blocks), what keeps that share on the reference takes its place.
    """

    def __init__(
        self,
        reference: SignalReference,
        *,
        minimum_rows: int = 30,
        q: float = 0.05,
        smallest: SmallestEffects | None = None,
    ) -> None:
        self._about = reference.about
        self._held = _with_known_accuracy(reference)
        self._minimum_rows = minimum_rows
        self._q = q
        self._smallest = smallest or SmallestEffects()
        self._numbers: dict[Watched, NumberTest] = {}
        self._vectors: dict[Watched, VectorTest] = {}
        self._blocks = BlockNulls(reference, q) if reference.blocks else None
        self._scales = {
            signal: scale
            for signal, held in self._held.items()
            if isinstance(held, NumberDistribution) and (scale := NumberScale.of(held))
        }

    def decide(self, about: ModelVersion, window: SignalWindow) -> tuple[Verdict, ...]:
        """One verdict for each signal of the reference or of the window, by name."""
        signals = sorted(self._held.keys() | window.signals.keys())
        if about != self._about:
            return tuple(
                Verdict(signal, State.REFERENCE_MISMATCH, rows_of(window.signals.get(signal)), 0)
                for signal in signals
            )
        stretches = self._blocks.stretches(window.rows) if self._blocks else None
        q = stretches.q if stretches else self._q
        level = q / max(1, len(self._held.keys() & window.signals.keys()))
        first = [
            self._look(signal, window.signals.get(signal), level, stretches) for signal in signals
        ]
        tested = [verdict for verdict in first if verdict.finding is not None]
        passed = rejected([v.finding.p_value for v in tested if v.finding], q)
        drifted = {
            verdict.signal
            for verdict, hit in zip(tested, passed, strict=True)
            if hit
            and verdict.finding
            and abs(verdict.finding.effect.value) >= self._smallest.of(verdict.signal.kind)
        }
        return tuple(
            Verdict(v.signal, State.DRIFT, v.rows, v.reference_rows, v.finding)
            if v.signal in drifted
            else v
            for v in first
        )

    def _look(
        self, signal: Watched, ours: Held | None, level: float, stretches: Stretches | None
    ) -> Verdict:
        """The verdict, were there no other signals; what is tested has not drifted yet."""
        theirs = self._held.get(signal)
        rows, reference_rows = rows_of(ours), rows_of(theirs)

        def only(state: State) -> Verdict:
            return Verdict(signal, state, rows, reference_rows)

        if theirs is None:
            return only(State.REFERENCE_MISSING)
        if ours is None or min(rows, reference_rows) < self._minimum_rows:
            return only(State.NOT_ENOUGH_DATA)
        smallest = self._smallest.of(signal.kind)
        if self._blocks is not None:
            by_blocks = stretches and stretches.find(signal, ours, smallest, level)
            if not by_blocks:
                return only(State.NOT_ENOUGH_DATA)
            return Verdict(signal, State.NO_DRIFT, rows, reference_rows, by_blocks)
        match ours, theirs:
            case NumberDistribution(), NumberDistribution():
                if signal in self._scales:
                    finding = self._number(signal, ours, level, smallest)
                elif _same_constant(ours, theirs):
                    return only(State.CONSTANT)
                else:
                    finding = left_constant_finding(ours, theirs, level, smallest)
            case CategoryCounts(), CategoryCounts():
                if len(ours.by_category().keys() | theirs.by_category().keys()) < 2:
                    return only(State.CONSTANT)
                finding = category_finding(
                    ours.by_category(), theirs.by_category(), level, smallest
                )
            case RatioSums(), RatioSums():
                if not min(ours.denominator, theirs.denominator):
                    return only(State.NOT_ENOUGH_DATA)
                finding = ratio_finding(ours, theirs, level, smallest)
            case DistinctInputs(), DistinctInputs():
                finding = ratio_finding(*as_repetitions(ours, theirs), level, smallest)
            case VectorReservoir(), VectorReservoir():
                fewest = min(len(ours.sample), len(theirs.sample))
                if fewest < FEWEST_VECTORS or ours.dimensions != theirs.dimensions:
                    return only(State.NOT_ENOUGH_DATA)
                finding = self._vector(signal, ours, theirs, level, smallest)
            case _:
                return only(State.REFERENCE_MISSING)
        return Verdict(signal, State.NO_DRIFT, rows, reference_rows, finding)

    def _number(
        self, signal: Watched, ours: NumberDistribution, level: float, smallest: float
    ) -> Finding:
        scale = self._scales[signal]
        test = self._numbers.setdefault(signal, NumberTest(scale))
        gaps, rows = scale.gaps(ours), ours.moments.rows
        return Finding(
            test.p_value(gaps, rows),
            test.interval(gaps, rows),
            test.detectable(rows, level, smallest),
        )

    def _vector(
        self,
        signal: Watched,
        ours: VectorReservoir,
        theirs: VectorReservoir,
        level: float,
        smallest: float,
    ) -> Finding:
        if signal not in self._vectors:
            self._vectors[signal] = VectorTest(theirs.vectors().astype(np.float64))
        found = self._vectors[signal].compare(ours.vectors().astype(np.float64))
        value, reach = 2 * found.separation.auc - 1, 2 * 1.96 * found.separation.error
        # Of two samples of the same thing; each half of the rows is ranked by itself.
        error = 2 * math.sqrt(1 / (12 * effective_rows(len(ours.sample), len(theirs.sample))))
        return Finding(
            found.p_value,
            Estimate(value, value - reach, value + reach),
            detectable_shift(error, level / 2, smallest),
        )


def _with_known_accuracy(reference: SignalReference) -> Mapping[Watched, Held]:
    held = dict(reference.window.signals)
    if reference.known is not None and ACCURACY not in held:
        rows = reference.known.rows
        right = round(rows * reference.known.accuracy.value)
        held[ACCURACY] = RatioSums(rows, right, rows, right, rows, right)
    return held


def rows_of(held: Held | None) -> int:
    """Rows that a signal was seen in."""
    match held:
        case NumberDistribution():
            return held.moments.rows
        case VectorReservoir():
            return held.seen
        case None:
            return 0
        case _:
            return held.rows


def _same_constant(ours: NumberDistribution, theirs: NumberDistribution) -> bool:
    return (ours.moments.minimum, ours.moments.maximum) == (
        theirs.moments.minimum,
        theirs.moments.maximum,
    )

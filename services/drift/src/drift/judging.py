"""From the verdicts on a window to what incidents are made of."""

from collections.abc import Callable, Sequence
from datetime import datetime

from drift.distinct_inputs import DistinctInputs
from drift.domain import Estimate
from drift.impact import Impact
from drift.incidents import Direction, DriftedSignal, JudgedGroup, JudgedWindow
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.signals import ACCURACY, PACKAGE, Held, SignalReference, SignalWindow
from drift.verdict import SmallestEffects, State, Verdict

_LEAST = 1e-3
"""Taken for the smallest effect that matters where a setting says 0."""
_MOST_SIGNALS = 20
"""Of a group that an incident names; a table may have hundreds."""


def judge(
    verdicts: Sequence[Verdict],
    reference: SignalReference,
    window: SignalWindow,
    *,
    start: datetime,
    end: datetime,
    smallest: SmallestEffects,
    impact: Callable[[], Impact | None],
) -> JudgedWindow:
    """What the verdicts say of each group of signals.

    A group of which nothing could be tested is left out.

    Args:
        impact: asked only where something drifted: it costs as much as all of the tests.
    """
    by_group: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.state in (State.DRIFT, State.NO_DRIFT, State.CONSTANT):
            by_group.setdefault(verdict.signal.group.value, []).append(verdict)

    def strength(verdict: Verdict) -> float:
        effect = verdict.finding.effect.value if verdict.finding else 0.0
        return abs(effect) / max(_LEAST, smallest.of(verdict.signal.kind))

    drifted = {
        name: sorted(
            (verdict for verdict in of_group if verdict.state is State.DRIFT),
            key=strength,
            reverse=True,
        )
        for name, of_group in sorted(by_group.items())
    }
    loss = loss_of(impact() if any(drifted.values()) else None)
    groups = tuple(
        JudgedGroup(
            name,
            tuple(_drifted(verdict, reference, window) for verdict in found[:_MOST_SIGNALS]),
            _measured_loss(found) or loss,
        )
        for name, found in drifted.items()
    )
    source = reference.source
    if reference.reference_id != PACKAGE:
        source = f"{source} (reference {reference.reference_id})"
    return JudgedWindow(start, end, groups, source)


def _measured_loss(drifted: Sequence[Verdict]) -> Estimate | None:
    """Where feedback shows the accuracy itself, nothing need be estimated."""
    for verdict in drifted:
        if verdict.signal == ACCURACY and verdict.finding is not None:
            effect = verdict.finding.effect
            return Estimate(-effect.value, -effect.upper, -effect.lower)
    return None


def loss_of(impact: Impact | None) -> Estimate | None:
    """Accuracy that is expected to be lost, with its interval."""
    if impact is None:
        return None
    accuracy, before = impact.accuracy, impact.reference_accuracy
    return Estimate(before - accuracy.value, before - accuracy.upper, before - accuracy.lower)


def _drifted(verdict: Verdict, reference: SignalReference, window: SignalWindow) -> DriftedSignal:
    if verdict.finding is None:
        raise ValueError("a signal drifted without a test")
    signal = verdict.signal
    ours, theirs = window.signals.get(signal), reference.window.signals.get(signal)
    effect = verdict.finding.effect
    return DriftedSignal(
        signal.name, _direction(ours, theirs, effect.value), effect, verdict.finding.p_value
    )


def _direction(ours: Held | None, theirs: Held | None, effect: float) -> Direction:
    match ours, theirs:
        case NumberDistribution(), NumberDistribution():
            # The effect of a number is a distance, which has no sign.
            return _by_sign(ours.moments.mean - theirs.moments.mean)
        case (RatioSums(), _) | (DistinctInputs(), _):
            return _by_sign(effect)
    return Direction.CHANGED


def _by_sign(difference: float) -> Direction:
    if difference == 0:
        return Direction.CHANGED
    return Direction.UP if difference > 0 else Direction.DOWN

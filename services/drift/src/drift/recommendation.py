"""What to do about a window, and why: by the accuracy that is lost, not by distances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from drift.impact import Impact
from drift.signals import Group
from drift.verdict import State, Verdict

NOTICEABLE_LOSS = 0.01
CONSIDERABLE_LOSS = 0.05
LASTING = 3
"""Windows in a row, after which new inputs are no passing visitors."""
_NAMED = 4


class Action(StrEnum):
    """From nothing to most."""

    NONE = "nothing to do"
    WAIT = "wait"
    INVESTIGATE = "investigate"
    RETRAIN = "retrain"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do next."""

    action: Action
    reasons: tuple[str, ...]
    """Sentences."""


def recommend(
    verdicts: Sequence[Verdict], impact: Impact | None, windows: Mapping[str, int]
) -> Recommendation:
    """What the verdicts of a window call for.

    Args:
        windows: in a row in which each drifted signal drifted, this one included, by name.
    """
    drifted = [verdict for verdict in verdicts if verdict.state is State.DRIFT]
    if not drifted:
        return _without_drift(verdicts)
    lasting = max(windows.get(verdict.signal.name, 1) for verdict in drifted)
    what = f"Drifted: {_names(drifted)}."
    if lasting > 1:
        what = f"{what} The longest for {_counted(lasting)} in a row."
    if any(v.signal.group is Group.FEEDBACK for v in drifted):
        return _with_labels(what, lasting)
    if all(v.signal.group is Group.SERVICE for v in drifted):
        why = "Only how the service runs has changed: look at its load and its machines."
        return Recommendation(Action.INVESTIGATE, (what, why))
    if impact is None:
        unknown = "What it costs is not known: nobody told how often the reference was right."
        return Recommendation(Action.INVESTIGATE, (what, unknown))
    loss = _loss(impact)
    lowest = impact.reference_accuracy - impact.accuracy.upper
    highest = impact.reference_accuracy - impact.accuracy.lower
    if highest < NOTICEABLE_LOSS:
        why = "Even the upper end of that interval is hardly noticeable."
        return Recommendation(Action.WAIT, (what, loss, why))
    if impact.expected_loss >= CONSIDERABLE_LOSS and lowest > 0 and lasting >= LASTING:
        why = "It lasts and it costs: label some of these inputs, and train with them."
        return Recommendation(Action.RETRAIN, (what, loss, why))
    if impact.expected_loss >= CONSIDERABLE_LOSS:
        why = "It is young or unsure, and a fault upstream would look the same: look there first."
        return Recommendation(Action.INVESTIGATE, (what, loss, why))
    if impact.expected_loss < NOTICEABLE_LOSS and lasting < LASTING:
        why = "If the next windows show it too, look into it."
        return Recommendation(Action.WAIT, (what, loss, why))
    why = "Find out where these inputs come from; labels on a few would tell what they cost."
    return Recommendation(Action.INVESTIGATE, (what, loss, why))


def _without_drift(verdicts: Sequence[Verdict]) -> Recommendation:
    tested = sum(verdict.finding is not None for verdict in verdicts)
    if not tested:
        why = "Not enough data: no signal has enough rows on both sides to be tested."
        return Recommendation(Action.WAIT, (why,))
    untested = len(verdicts) - tested
    reasons = [f"None of the {_counted(tested, 'tested signal')} drifted."]
    if untested:
        reasons.append(f"{_counted(untested, 'signal')} could not be tested.")
    return Recommendation(Action.NONE, tuple(reasons))


def _with_labels(what: str, lasting: int) -> Recommendation:
    """Feedback knows what was right: no estimate is as good."""
    told = "Feedback says that answers are right more or less often than on the reference."
    if lasting >= LASTING:
        why = "It lasts: train with what feedback labelled."
        return Recommendation(Action.RETRAIN, (what, told, why))
    why = "See whether it lasts, and which answers were wrong."
    return Recommendation(Action.INVESTIGATE, (what, told, why))


def _loss(impact: Impact) -> str:
    lower = impact.reference_accuracy - impact.accuracy.upper
    upper = impact.reference_accuracy - impact.accuracy.lower
    side = "above" if impact.expected_loss < 0 else "below"
    return (
        f"Accuracy is estimated to be {_points(abs(impact.expected_loss))} points {side} the "
        f"reference's (95 % interval of the loss: {_points(lower)} to {_points(upper)} points)."
    )


def _names(drifted: Sequence[Verdict]) -> str:
    names = [verdict.signal.name for verdict in drifted]
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def _counted(count: int, noun: str = "window") -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"

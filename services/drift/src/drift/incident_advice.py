"""How bad a drift is and what to do about it: by the accuracy that it costs, not by a distance."""

from dataclasses import dataclass
from enum import StrEnum

from drift.domain import Estimate
from drift.recommendation import CONSIDERABLE_LOSS, LASTING, NOTICEABLE_LOSS, Action
from drift.signals import Group


class Severity(StrEnum):
    """How bad it is expected to be."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Advice:
    """A severity, an action and why."""

    severity: Severity
    action: Action
    reasons: tuple[str, ...]


def advise(group: str, loss: Estimate | None, windows: int) -> Advice:
    """What to think of a drift of a group of signals.

    Args:
        loss: accuracy that is expected to be lost, with its interval; None where nobody can say.
        windows: that drifted so far.
    """
    if loss is None:
        severity = Severity.INFO if group == Group.SERVICE else Severity.WARNING
        unknown = "What it costs is not known: the reference does not say how often it was right."
        return Advice(severity, Action.INVESTIGATE, (unknown,))
    points = (
        f"Accuracy is expected to be {_points(loss.value)} points lower than on the reference "
        f"(95 % interval {_points(loss.lower)} to {_points(loss.upper)})."
    )
    severity = _severity(loss)
    if loss.upper < NOTICEABLE_LOSS:
        why = "Even the upper end of the interval is hardly noticeable."
        return Advice(severity, Action.WAIT, (points, why))
    if severity is Severity.CRITICAL and loss.lower > 0 and windows >= LASTING:
        why = f"It lasts, {windows} windows so far, and it costs: label some inputs and train."
        return Advice(severity, Action.RETRAIN, (points, why))
    if severity is Severity.CRITICAL:
        why = "It is young or unsure, and a fault upstream would look the same: look there first."
        return Advice(severity, Action.INVESTIGATE, (points, why))
    if severity is Severity.INFO and windows < LASTING:
        why = "If the next windows show it too, look into it."
        return Advice(severity, Action.WAIT, (points, why))
    why = "Find out where these inputs come from; labels on a few would tell what they cost."
    return Advice(severity, Action.INVESTIGATE, (points, why))


def _severity(loss: Estimate) -> Severity:
    if loss.value >= CONSIDERABLE_LOSS:
        return Severity.CRITICAL
    return Severity.WARNING if loss.value >= NOTICEABLE_LOSS else Severity.INFO


def _points(share: float) -> str:
    return f"{100 * share:.1f}"

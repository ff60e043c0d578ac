"""How a report says numbers, times and names to people, whatever it is rendered as."""

from collections.abc import Sequence
from datetime import UTC, datetime

from drift.domain import Estimate
from drift.signals import Kind
from drift.verdict import State, Verdict

STATE_ORDER = (
    State.DRIFT,
    State.NO_DRIFT,
    State.CONSTANT,
    State.NOT_ENOUGH_DATA,
    State.REFERENCE_MISSING,
    State.REFERENCE_MISMATCH,
)
UNITS = {
    Kind.NUMBER: "standard deviations",
    Kind.CATEGORY: "share of rows in other categories",
    Kind.RATIO: "difference of ratios",
    Kind.DISTINCT: "difference of ratios",
    Kind.VECTOR: "better than chance, 0 to 1",
}
"""What the effect of a kind of signal is measured in."""
_SMALLEST_P = 0.0001
_BIDIRECTIONAL = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F))


def in_order(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What drifted first, the largest effect of a kind first; then the rest by name."""
    return sorted(
        verdicts,
        key=lambda v: (STATE_ORDER.index(v.state), v.signal.name if not _drifted(v) else "", _p(v)),
    )


def number(value: float) -> str:
    """Three figures, never an exponent where a person would not write one."""
    if value == 0:
        return "0"
    if 0.0001 <= abs(value) < 1_000_000:
        digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
        text = f"{value:.{digits}f}" if abs(value) >= 0.001 else f"{value:.4f}"
        return text.replace("-", "\u2212")
    return f"{value:.3g}".replace("-", "\u2212")


def interval(estimate: Estimate) -> str:
    """The 95 % interval."""
    return f"{number(estimate.lower)} to {number(estimate.upper)}"


def chance(p_value: float) -> str:
    """A p-value."""
    return f"< {_SMALLEST_P}" if p_value < _SMALLEST_P else f"{p_value:.4f}"


def percent(share: float) -> str:
    """A share."""
    return f"{100 * share:.1f}\u2009%"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "\u2212")


def count(rows: int) -> str:
    """A whole number with its thousands apart."""
    return f"{rows:,}".replace(",", "\u202f")


def moment(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "none yet"


def plain(text: str) -> str:
    """A name from outside without what would reorder or break the text around it."""
    text = text.translate(_BIDIRECTIONAL)
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _drifted(verdict: Verdict) -> bool:
    return verdict.state is State.DRIFT


def _p(verdict: Verdict) -> tuple[float, float, str]:
    if verdict.finding is None:
        return (1.0, 0.0, verdict.signal.name)
    return (verdict.finding.p_value, -abs(verdict.finding.effect.value), verdict.signal.name)

"""The figures of a report's page as coordinates; the template puts elements around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drift.domain import Estimate
from drift.impact import Impact
from drift.report_words import number, percent, plain
from drift.shapes import Shape

WIDTH, HEIGHT = 300.0, 110.0
BAR_WIDTH = 170.0
_FLOOR, _CEILING = 96.0, 6.0
_SCALE_MARGIN = 0.03


@dataclass(frozen=True, slots=True)
class Curves:
    """A histogram: the reference as an area, the window as a line above it."""

    reference: str
    window: str
    low: str
    high: str
    described: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One category, or one ratio."""

    name: str
    reference: float
    window: float
    """Lengths, to be drawn."""
    reference_share: str
    window_share: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Categories below each other, two bars each."""

    bars: tuple[Bar, ...]
    described: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Estimated accuracy with its interval, and the reference's, on one line."""

    lower: float
    value: float
    upper: float
    reference: float
    """Places from 0 to 300."""
    low: str
    high: str


def curves(shape: Shape) -> Curves:
    """Of a number. Densities, so that cells of unequal width are not taken for more rows."""
    edges = shape.edges
    widths = [high - low for low, high in pairwise(edges)]
    sides = [
        [share / width for share, width in zip(shares, widths, strict=True)]
        for shares in (shape.reference, shape.window)
    ]
    highest = max(max(side) for side in sides) or 1.0
    span = edges[-1] - edges[0]
    places = [(edge - edges[0]) / span * WIDTH for edge in edges]
    area, line = (_steps(places, side, highest) for side in sides)
    return Curves(
        f"M0 {_FLOOR:g}{area}L{WIDTH:g} {_FLOOR:g}Z",
        "M" + line[1:],
        number(edges[0]),
        number(edges[-1]),
        f"Most of the reference lies around {number(_peak(shape, sides[0]))}, "
        f"most of the window around {number(_peak(shape, sides[1]))}.",
    )


def bars(shape: Shape) -> Bars:
    """Of categories, or of one ratio, drawn relative to the largest."""
    highest = max(*shape.reference, *shape.window) or 1.0
    made = tuple(
        Bar(
            plain(name),
            round(theirs / highest * BAR_WIDTH, 1),
            round(ours / highest * BAR_WIDTH, 1),
            percent(theirs),
            percent(ours),
        )
        for name, theirs, ours in zip(shape.names, shape.reference, shape.window, strict=True)
    )
    said = "; ".join(f"{b.name}: {b.reference_share} before, {b.window_share} now" for b in made)
    return Bars(made, said)


def accuracy_scale(impact: Impact) -> Scale:
    """The line begins and ends a little beyond what is on it."""
    accuracy: Estimate = impact.accuracy
    every = (accuracy.lower, accuracy.upper, impact.reference_accuracy)
    low = max(0.0, min(every) - _SCALE_MARGIN)
    high = min(1.0, max(every) + _SCALE_MARGIN)
    span = high - low or 1.0

    def place(share: float) -> float:
        return round((share - low) / span * WIDTH, 1)

    return Scale(
        place(accuracy.lower),
        place(accuracy.value),
        place(accuracy.upper),
        place(impact.reference_accuracy),
        percent(low),
        percent(high),
    )


def _steps(places: Sequence[float], heights: Sequence[float], highest: float) -> str:
    """Path commands along the tops of the cells."""
    parts = []
    for (left, right), height in zip(pairwise(places), heights, strict=True):
        top = round(_FLOOR - height / highest * (_FLOOR - _CEILING), 1)
        parts.append(f"L{left:.1f} {top:g}H{right:.1f}")
    return "".join(parts)


def _peak(shape: Shape, densities: Sequence[float]) -> float:
    place = max(range(len(densities)), key=lambda cell: densities[cell])
    return (shape.edges[place] + shape.edges[place + 1]) / 2

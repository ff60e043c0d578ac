"""What a signal looks like in the window and in the reference, and which of its rows changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drift.category_counts import OTHER, CategoryCounts
from drift.distinct_inputs import DistinctInputs
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.rank_process import Floats
from drift.signals import Held, SignalWindow
from drift.verdict import State, Verdict

_CELLS = 24
_TAIL = 0.005
"""Of the rows on each side that may lie outside of the drawn range; the end cells count them."""
_MOST_NAMES = 8
_LONGEST_NAME = 60
_SLICES_OF_A_SIGNAL = 3
_MOST_SLICES = 12
_SMALLEST_CHANGE = 0.01


@dataclass(frozen=True, slots=True)
class Shape:
    """Shares of rows on both sides: of the intervals between edges, or of named categories."""

    edges: tuple[float, ...]
    """One more than shares; none for categories."""
    names: tuple[str, ...]
    """None for numbers."""
    reference: tuple[float, ...]
    window: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows that became more or fewer: a category, or an interval of a number."""

    signal: str
    rows: str
    reference_share: float
    window_share: float

    @property
    def change(self) -> float:
        """Share of all rows that it gained."""
        return self.window_share - self.reference_share


def shapes_of(reference: SignalWindow, window: SignalWindow) -> dict[str, Shape]:
    """Of every signal that both sides have, vectors aside."""
    found = {}
    for signal, theirs in reference.signals.items():
        ours = window.signals.get(signal)
        if ours is not None and (shape := _shape(theirs, ours)):
            found[signal.name] = shape
    return found


def slices_of(
    verdicts: Sequence[Verdict], reference: SignalWindow, window: SignalWindow
) -> Sequence[Slice]:
    """The largest changes in the signals that drifted."""
    found: list[Slice] = []
    for verdict in verdicts:
        if verdict.state is not State.DRIFT:
            continue
        name = verdict.signal.name
        match reference.signals.get(verdict.signal), window.signals.get(verdict.signal):
            case NumberDistribution() as theirs, NumberDistribution() as ours:
                of_signal = _intervals(name, theirs, ours)
            case CategoryCounts() as theirs, CategoryCounts() as ours:
                shape = _bars(_shares(theirs.by_category()), _shares(ours.by_category()))
                of_signal = [
                    Slice(name, *row)
                    for row in zip(shape.names, shape.reference, shape.window, strict=True)
                ]
            case _:
                continue
        of_signal = [part for part in of_signal if abs(part.change) >= _SMALLEST_CHANGE]
        found += sorted(of_signal, key=_size)[:_SLICES_OF_A_SIGNAL]
    return sorted(found, key=_size)[:_MOST_SLICES]


def _size(part: Slice) -> tuple[float, str, str]:
    return -abs(part.change), part.signal, part.rows


def _shape(theirs: Held, ours: Held) -> Shape | None:
    match theirs, ours:
        case NumberDistribution(), NumberDistribution():
            return _histogram(theirs, ours)
        case CategoryCounts(), CategoryCounts():
            return _bars(_shares(theirs.by_category()), _shares(ours.by_category()))
        case RatioSums(), RatioSums() if min(theirs.denominator, ours.denominator) > 0:
            return Shape(
                (),
                ("ratio",),
                (theirs.numerator / theirs.denominator,),
                (ours.numerator / ours.denominator,),
            )
        case DistinctInputs(), DistinctInputs():
            expected = theirs.expected_duplicate_rate(ours.rows)
            return Shape((), ("repeated",), (expected,), (ours.duplicate_rate(),))
    return None


def _histogram(theirs: NumberDistribution, ours: NumberDistribution) -> Shape:
    sides = [held.weighted_values() for held in (theirs, ours)]
    low = min(_quantile(*side, _TAIL) for side in sides)
    high = max(_quantile(*side, 1 - _TAIL) for side in sides)
    distinct = np.unique(np.concatenate([values for values, _ in sides]))
    distinct = distinct[(distinct >= low) & (distinct <= high)]
    if len(distinct) <= _CELLS:
        # Few values, counts for example: a cell for each.
        between = (distinct[1:] + distinct[:-1]) / 2
        margin = float(np.diff(distinct).min()) / 2 if len(distinct) > 1 else 0.5
        edges = np.concatenate([[distinct[0] - margin], between, [distinct[-1] + margin]])
    else:
        edges = np.linspace(low, high, _CELLS + 1)
    shares = [_cells(values, weights, edges[1:-1]) for values, weights in sides]
    return Shape(tuple(edges.tolist()), (), tuple(shares[0].tolist()), tuple(shares[1].tolist()))


def _intervals(name: str, theirs: NumberDistribution, ours: NumberDistribution) -> list[Slice]:
    """Between the tenths of the reference; neighbours that changed alike are one."""
    values, weights = theirs.weighted_values()
    tenths = np.unique([_quantile(values, weights, share / 10) for share in range(1, 10)])
    before = _cells(values, weights, tenths)
    now = _cells(*ours.weighted_values(), tenths)
    rising = now > before
    starts = np.flatnonzero(np.append([True], rising[1:] != rising[:-1]))
    ends = np.append(starts[1:], len(before))
    return [
        Slice(
            name,
            _interval(tenths, int(start), int(end)),
            float(before[start:end].sum()),
            float(now[start:end].sum()),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _interval(borders: Floats, start: int, end: int) -> str:
    low = f"{borders[start - 1]:.4g}" if start else ""
    high = f"{borders[end - 1]:.4g}" if end <= len(borders) else ""
    if low and high:
        return f"above {low}, up to {high}"
    return f"above {low}" if low else f"up to {high}" if high else "all"


def _cells(values: Floats, weights: np.ndarray, borders: Floats) -> Floats:
    """[borders + 1] Shares of rows up to and including each border, and beyond the last."""
    places = np.searchsorted(borders, values, "left")
    counted = np.bincount(places, weights, minlength=len(borders) + 1)
    return np.asarray(counted / weights.sum(), np.float64)


def _quantile(values: Floats, weights: np.ndarray, share: float) -> float:
    ends = np.cumsum(weights) / weights.sum()
    return float(values[min(int(np.searchsorted(ends, share, "left")), len(values) - 1)])


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    rows = sum(counts.values())
    return {name: count / rows for name, count in counts.items()} if rows else {}


def _bars(theirs: Mapping[str, float], ours: Mapping[str, float]) -> Shape:
    """The categories that are frequent on either side, the others together."""
    names = sorted(
        (theirs.keys() | ours.keys()) - {OTHER},
        key=lambda name: (-max(theirs.get(name, 0), ours.get(name, 0)), name),
    )[:_MOST_NAMES]
    bars = [(name, theirs.get(name, 0.0), ours.get(name, 0.0)) for name in names]
    rest = [
        max(0.0, sum(side.values()) - sum(side.get(n, 0) for n in names)) for side in (theirs, ours)
    ]
    if max(rest) > 1e-9:
        bars.append((OTHER, rest[0], rest[1]))
    return Shape(
        (),
        tuple(_short(name) for name, _, _ in bars),
        tuple(share for _, share, _ in bars),
        tuple(share for _, _, share in bars),
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"

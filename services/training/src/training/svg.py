"""Draws plots as inline SVG: text that scales, prints, and takes its colours from the page.

Written by hand: five small plots need lines, boxes and labels. A plotting library would be the
heaviest part of this package to install and import, and would fix the colours of one theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps the values from ``low`` to ``high`` onto pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies; a scale of one value puts it at the start."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.0
        return round(self.start + share * (self.end - self.start), 2)


@dataclass(slots=True)
class Drawing:
    """An SVG picture of ``width`` by ``height`` pixels; ``label`` tells it to who cannot see it.

    ``kind`` arguments are classes of the page's style sheet.
    """

    width: int
    height: int
    label: str
    _parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, kind: str,
            opacity: float | None = None, tip: str = "") -> None:  # fmt: skip
        """Draw a filled rectangle; ``tip`` shows where a pointer rests on it."""
        faint = "" if opacity is None else f' fill-opacity="{opacity:.3f}"'
        title = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0):g}" height="{max(height, 0):g}" '
            f'class="{kind}"{faint}>{title}</rect>'
        )

    def line(self, points: Iterable[Sequence[float]], kind: str) -> None:
        """Draw a line through points (x, y)."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" class="{kind}"/>')

    def dot(self, x: float, y: float, kind: str, tip: str = "") -> None:
        """Draw a dot."""
        title = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="4" class="{kind}">{title}</circle>')

    def text(
        self, x: float, y: float, text: str, kind: str = "tick", anchor: str = "start"
    ) -> None:
        """Write text; ``anchor`` is where of it ``x`` lies: start, middle or end."""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def x_axis(self, scale: Scale, y: float, ticks: Iterable[float], title: str) -> None:
        """Draw an axis below a plot."""
        self.line([(scale.start, y), (scale.end, y)], "axis")
        for tick in ticks:
            self.text(scale(tick), y + 16, f"{tick:g}", anchor="middle")
        self.text((scale.start + scale.end) / 2, y + 34, title, "name", "middle")

    def y_axis(self, scale: Scale, x: float, ticks: Iterable[float], right: float) -> None:
        """Draw an axis at the left, with lines across the plot up to ``right``."""
        for tick in ticks:
            self.line([(x, scale(tick)), (right, scale(tick))], "grid")
            self.text(x - 6, scale(tick) + 4, f"{tick:g}", anchor="end")

    def __str__(self) -> str:
        """The element, to be put into a page."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.label)}">{"".join(self._parts)}</svg>'
        )


def ticks_between(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    steps = (mantissa * 10.0**power for power in range(-4, 12) for mantissa in (1, 2, 5))
    step = next(step for step in steps if (high - low) / step < most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 6) for number in range(first, last + 1)]

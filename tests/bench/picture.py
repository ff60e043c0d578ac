"""The results as one picture: throughput and latency by concurrency, one column a kind of texts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {
    "weir": "#1f5fbf",
    "litserve": "#d9722e",
    "bentoml": "#2f8f57",
    "mlserver": "#8e4fae",
}
_INK, _FAINT = "#333333", "#dddddd"
_WIDTH, _HEIGHT = 300, 210
_LEFT, _TOP, _GAP_X, _GAP_Y = 70, 110, 70, 100

Points = Mapping[int, float]
"""A number by concurrency."""


@dataclass(frozen=True)
class Column:
    """One kind of texts."""

    title: str
    rates: Mapping[str, Points]
    """Texts a second by contestant."""
    p50: Mapping[str, Points]
    p99: Mapping[str, Points]
    """Milliseconds by contestant."""
    ceiling: float


def picture(title: str, subtitle: str, columns: Sequence[Column]) -> str:
    """An SVG document."""
    width = _LEFT + len(columns) * (_WIDTH + _GAP_X)
    height = _TOP + 2 * (_HEIGHT + _GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(_LEFT, 30, title, size=19),
        _text(_LEFT, 52, subtitle, colour="#666666"),
        *_legend(columns),
    ]
    for number, column in enumerate(columns):
        left = _LEFT + number * (_WIDTH + _GAP_X)
        parts += _throughput(column, _Axes(left, _TOP, _steps(column), 0, _top_rate(column)))
        low, high = _span([*column.p50.values(), *column.p99.values()])
        axes = _Axes(left, _TOP + _HEIGHT + _GAP_Y, _steps(column), low, high, logarithmic=True)
        parts += _latency(column, axes)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axes:
    left: int
    top: int
    steps: Sequence[int]
    low: float
    high: float
    logarithmic: bool = False

    def x(self, concurrency: int) -> float:
        room = max(1, len(self.steps) - 1)
        return self.left + _WIDTH * self.steps.index(concurrency) / room

    def y(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.top + _HEIGHT * (1 - share)

    def drawn(self, title: str, ticks: Sequence[float]) -> list[str]:
        parts = [_text(self.left, self.top - 12, title, size=14)]
        for tick in ticks:
            y = self.y(tick)
            parts.append(_line(self.left, y, self.left + _WIDTH, y, _FAINT))
            parts.append(_text(self.left - 8, y + 4, f"{tick:g}", anchor="end"))
        for step in self.steps:
            parts.append(_text(self.x(step), self.top + _HEIGHT + 20, str(step), anchor="middle"))
        middle, below = self.left + _WIDTH / 2, self.top + _HEIGHT + 40
        return [*parts, _text(middle, below, "clients at a time", anchor="middle")]

    def curve(self, points: Points, colour: str, *, dashed: bool = False) -> list[str]:
        known = [(self.x(step), self.y(points[step])) for step in self.steps if step in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in known)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2"{dash}/>'
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in known]
        return [line, *([] if dashed else dots)]


def _throughput(column: Column, axes: _Axes) -> list[str]:
    parts = axes.drawn(f"{column.title}: texts a second", _linear_ticks(axes.high))
    y = axes.y(column.ceiling)
    parts.append(_line(axes.left, y, axes.left + _WIDTH, y, _INK, dashed=True))
    for name, points in column.rates.items():
        parts += axes.curve(points, COLOURS[name])
    return parts


def _latency(column: Column, axes: _Axes) -> list[str]:
    ticks = _log_ticks(axes.low, axes.high)
    parts = axes.drawn(f"{column.title}: ms, p50 and p99 (dashed)", ticks)
    for name in column.p50:
        parts += axes.curve(column.p50[name], COLOURS[name])
        parts += axes.curve(column.p99[name], COLOURS[name], dashed=True)
    return parts


def _legend(columns: Sequence[Column]) -> list[str]:
    parts, x = [], _LEFT
    for name in columns[0].rates:
        parts.append(_line(x, 72, x + 26, 72, COLOURS[name], width=3))
        parts.append(_text(x + 32, 76, name))
        x += 110
    parts.append(_line(x, 72, x + 26, 72, _INK, dashed=True))
    return [*parts, _text(x + 32, 76, "ceiling: ONNX Runtime in a loop, no server")]


def _steps(column: Column) -> list[int]:
    return sorted({step for points in column.rates.values() for step in points})


def _top_rate(column: Column) -> float:
    rates = [rate for points in column.rates.values() for rate in points.values()]
    return 1.1 * max([*rates, column.ceiling])


def _span(curves: Sequence[Points]) -> tuple[float, float]:
    values = [value for points in curves for value in points.values() if value > 0]
    return (0.8 * min(values), 1.25 * max(values)) if values else (1.0, 10.0)


def _linear_ticks(high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 6)
    return [step * number for number in range(int(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def _text(
    x: float, y: float, text: str, *, size: int = 13, colour: str = _INK, anchor: str = "start"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False, width: int = 1
) -> str:
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dash}/>'

"""What the drift benchmark found: as a table, as JSON and as a picture."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

WEIR = "Weir"
COLOURS = {WEIR: "#1f5fbf", "Evidently": "#d9722e", "NannyML": "#2f8f57"}
_ROW, _LEFT, _WIDTH = 42, 300, 420


@dataclass(frozen=True)
class Result:
    """One number of one tool, beside its bound."""

    case: str
    value: float
    count: int
    """Windows, or estimates, that it is about."""
    bound: str = ""
    ok: bool = True
    tool: str = WEIR


_PANELS: tuple[tuple[str, float, Callable[[str, Result], bool]], ...] = (
    (
        "No drift: share of windows that alarm, less is better",
        1.0,
        lambda case, ours: ours.bound.startswith("<") and "error" not in case,
    ),
    (
        "Drift: share of windows that alarm, more is better",
        1.0,
        lambda case, ours: ours.bound.startswith(">"),
    ),
    (
        "Accuracy estimated without labels: median error, less is better",
        0.1,
        lambda case, ours: "error" in case,
    ),
)
"""Title, the value at the right edge, and what belongs there."""


def at_most(case: str, values: Sequence[float], bound: float) -> Result:
    """A mean that should be small."""
    value = float(np.mean(values))
    return Result(case, value, len(values), f"<= {bound}", value <= bound)


def at_least(case: str, values: Sequence[float], bound: float) -> Result:
    """A mean that should be large."""
    value = float(np.mean(values))
    return Result(case, value, len(values), f">= {bound}", value >= bound)


def show(results: Sequence[Result]) -> None:
    """A line for each case, a column for each tool."""
    table = Table("case", *COLOURS, "windows", "bound", "")
    for case, by_tool in _by_case(results).items():
        ours = by_tool.get(WEIR)
        verdict = ("ok" if ours.ok else "MISSED") if ours and ours.bound else ""
        counts = "/".join(str(by_tool[tool].count) for tool in COLOURS if tool in by_tool)
        values = [f"{by_tool[tool].value:.4f}" if tool in by_tool else "" for tool in COLOURS]
        table.add_row(case, *values, counts, ours.bound if ours else "", verdict)
    Console(width=130).print(table)


def write_json(results: Sequence[Result], file: Path) -> None:
    """All of them."""
    file.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def write_picture(results: Sequence[Result], file: Path) -> None:
    """A bar for each tool, with a mark at the bound, in three panels."""
    shown = {
        case: by_tool
        for case, by_tool in _by_case(results).items()
        if WEIR in by_tool and by_tool[WEIR].bound and "second" not in case
    }
    parts, top = [], 30
    for title, scale, belongs in _PANELS:
        cases = {case: by_tool for case, by_tool in shown.items() if belongs(case, by_tool[WEIR])}
        if not cases:
            continue
        parts.append(f'<text x="20" y="{top + 16}" font-size="16">{escape(title)}</text>')
        top += 30
        for case, by_tool in cases.items():
            parts += _bars(case, by_tool, top, scale)
            top += _ROW
        top += 18
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {top}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="{top}" fill="white"/>',
    ]
    for place, (tool, colour) in enumerate(COLOURS.items()):
        x = 20 + 110 * place
        head.append(f'<rect x="{x}" y="10" width="14" height="10" fill="{colour}"/>')
        head.append(f'<text x="{x + 20}" y="20">{tool}</text>')
    head.append(
        '<text x="350" y="20" fill="#666666">dashed: the bound that Weir has to keep</text>'
    )
    file.write_text("\n".join([*head, *parts, "</svg>"]) + "\n")


def _bars(case: str, by_tool: Mapping[str, Result], top: int, scale: float) -> list[str]:
    bound = _LEFT + float(by_tool[WEIR].bound.split()[-1]) / scale * _WIDTH
    bars, figures = [], []
    for place, (tool, colour) in enumerate(COLOURS.items()):
        if tool not in by_tool:
            continue
        value, y = by_tool[tool].value, top + 4 + 11 * place
        width = max(1.0, min(1.0, value / scale) * _WIDTH)
        bars.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="9" fill="{colour}"/>')
        # On white, so that the bound's mark does not cross the figure.
        figures.append(
            f'<rect x="{_LEFT + width + 4:.1f}" y="{y - 1}" width="31" height="11" fill="white"/>'
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 9}" font-size="10">{value:.3f}</text>'
        )
    return [
        f'<text x="{_LEFT - 10}" y="{top + 22}" text-anchor="end">{escape(case)}</text>',
        *bars,
        f'<line x1="{bound:.1f}" x2="{bound:.1f}" y1="{top + 1}" y2="{top + 38}" '
        'stroke="#333333" stroke-dasharray="3 2"/>',
        *figures,
    ]


def _by_case(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    found: dict[str, dict[str, Result]] = {}
    for result in results:
        found.setdefault(result.case, {})[result.tool] = result
    return found

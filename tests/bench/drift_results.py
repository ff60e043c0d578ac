"""What the drift benchmark found: as a table, as JSON and as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

WEIR = "Weir"
COLOURS = {WEIR: "#1f5fbf", "Evidently": "#d9722e", "NannyML": "#2f8f57"}
_ROW, _LEFT, _WIDTH, _TOP = 46, 330, 420, 92


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
    """Shares of windows, a bar for each tool, with a mark at the bound."""
    cases = {
        case: by_tool
        for case, by_tool in _by_case(results).items()
        if WEIR in by_tool and by_tool[WEIR].bound and "second" not in case
    }
    height = _TOP + _ROW * len(cases) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        '<text x="20" y="30" font-size="19">Share of windows that alarm; error of accuracy</text>',
        '<text x="20" y="52" fill="#666666">The mark is the bound: below it for windows without '
        "drift and for errors, above it for drift</text>",
    ]
    for place, (tool, colour) in enumerate(COLOURS.items()):
        parts.append(
            f'<rect x="{20 + 110 * place}" y="64" width="14" height="10" fill="{colour}"/>'
        )
        parts.append(f'<text x="{40 + 110 * place}" y="74">{tool}</text>')
    for place, (case, by_tool) in enumerate(cases.items()):
        parts += _bars(case, by_tool, _TOP + _ROW * place)
    file.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _bars(case: str, by_tool: Mapping[str, Result], top: int) -> list[str]:
    parts = [f'<text x="{_LEFT - 10}" y="{top + 22}" text-anchor="end">{escape(case)}</text>']
    for place, (tool, colour) in enumerate(COLOURS.items()):
        if tool not in by_tool:
            continue
        value, y = by_tool[tool].value, top + 4 + 11 * place
        width = max(1.0, min(1.0, value) * _WIDTH)
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="9" fill="{colour}"/>'
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 9}" font-size="10">{value:.3f}</text>'
        )
    bound = float(by_tool[WEIR].bound.split()[-1])
    x = _LEFT + bound * _WIDTH
    parts.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + 38}" stroke="#333333" '
        'stroke-dasharray="3 2"/>'
    )
    return parts


def _by_case(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    found: dict[str, dict[str, Result]] = {}
    for result in results:
        found.setdefault(result.case, {})[result.tool] = result
    return found

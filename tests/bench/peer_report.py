"""What a comparison leaves behind: results.json, results.md and results.svg."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peer_process import PEERS
from picture import Column, picture
from turns import Turns
from verdicts import Verdict

_TITLES = {"short": "Short texts", "mix": "Mixed lengths", "long": "Long reviews"}
_EVERYONE = ("weir", *PEERS)


def write_results(
    directory: Path, facts: dict[str, Any], turns: Turns, judged: Sequence[Verdict]
) -> None:
    """Writes all three files.

    Args:
        facts: what the JSON tells beside measurements and verdicts; `ceilings` and `machine` among
            it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    told = [
        {
            "what": one.what,
            "measured": one.measured,
            "at_most" if one.at_most else "at_least": one.bound,
            "met": one.met,
            "note": one.note,
        }
        for one in judged
    ]
    content = facts | {"verdicts": told, "measurements": turns.as_rows()}
    (directory / "results.json").write_text(json.dumps(_plain(content), indent=1) + "\n")
    (directory / "results.md").write_text(table(facts, turns, judged))
    machine = facts["machine"]
    subtitle = f"{machine['processor']}, {machine['cores']} cores, load generator included"
    columns = [column(kind, turns, facts["ceilings"][kind]["rate"]) for kind in facts["ceilings"]]
    (directory / "results.svg").write_text(
        picture("One model, four servers, in turns on one machine", subtitle, columns)
    )


def table(facts: Mapping[str, Any], turns: Turns, judged: Sequence[Verdict]) -> str:
    """Markdown: throughput and latency, and the verdicts."""
    lines = ["| texts | load | " + " | ".join(_EVERYONE) + " | ceiling |"]
    lines.append("|---|---|" + "---|" * (len(_EVERYONE) + 1))
    loads = dict.fromkeys((kind, load) for _, kind, load in turns.results)
    for kind, load in loads:
        cells = [_cell(turns, name, kind, load) for name in _EVERYONE]
        full = load in ("closed 64", "batch 2")
        ceiling = f"{facts['ceilings'][kind]['rate']:.0f}/s" if full else ""
        lines.append(f"| {kind} | {load} | " + " | ".join(cells) + f" | {ceiling} |")
    lines += ["", "Texts a second; p50 / p99 in milliseconds. Medians of the rounds.", ""]
    lines += [f"- {one.line()}" for one in judged]
    return "\n".join(lines) + "\n"


def column(kind: str, turns: Turns, ceiling: float) -> Column:
    """One kind's part of the picture."""
    steps = sorted(
        {
            int(load.removeprefix("closed "))
            for _, its, load in turns.results
            if its == kind and load.startswith("closed ")
        }
    )

    def points(name: str, what: str) -> dict[int, float]:
        found = {step: turns.middle(name, kind, f"closed {step}", what) for step in steps}
        return {step: value for step, value in found.items() if not math.isnan(value)}

    return Column(
        _TITLES[kind],
        *({name: points(name, what) for name in _EVERYONE} for what in ("rate", "p50", "p99")),
        ceiling=ceiling,
    )


def _cell(turns: Turns, name: str, kind: str, load: str) -> str:
    rate, p50, p99 = (turns.middle(name, kind, load, what) for what in ("rate", "p50", "p99"))
    if math.isnan(rate):
        return ""
    times = "no answer" if math.isnan(p50) else f"{p50:.1f} / {p99:.1f}"
    return f"{rate:.0f}/s, {times}"


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value

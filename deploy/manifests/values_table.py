"""Writes the table of values into the chart's README, from the comments in its values.yaml."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "weir"
_BEGIN, _END = "<!-- values -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"^( *)([A-Za-z]\w*):(.*)$")


@dataclass(frozen=True)
class Value:
    """A key with all that leads to it, what explains it, and its default; a section has none."""

    path: tuple[str, ...]
    explanation: str
    default: Any
    is_section: bool


def values(text: str) -> Iterator[Value]:
    """The keys of values.yaml, in its order."""
    whole = yaml.safe_load(text)
    path: list[str] = []
    comments: list[str] = []
    list_at: int | None = None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if list_at is not None and stripped and indent > list_at:
            continue  # the items of a list are its default
        list_at = None
        if stripped.startswith("#"):
            comments.append(stripped.removeprefix("#").strip())
        elif not stripped:
            comments.clear()
        elif found := _KEY.match(line):
            depth = indent // 2
            path = [*path[:depth], found[2]]
            below = lines[number + 1] if number + 1 < len(lines) else ""
            is_deeper = len(below) - len(below.lstrip()) > indent
            list_at = indent if is_deeper and _is_list(below) else None
            is_section = is_deeper and not found[3].strip() and list_at is None
            if comments or not is_section:
                yield Value(tuple(path), " ".join(comments), _at(whole, path), is_section)
            comments.clear()


def _is_list(line: str) -> bool:
    return line.lstrip().startswith("- ")


def _at(whole: Any, path: list[str]) -> Any:
    for key in path:
        whole = whole[key]
    return whole


def table(text: str) -> str:
    """The values as Markdown: a heading for each key at the top, a row for each one below."""
    parts: list[str] = []
    known: dict[tuple[str, ...], str] = {}
    for value in values(text):
        # What each service may be told is explained once, in `defaults`.
        explanation = (
            value.explanation or known.get(value.path[1:]) or known.get(value.path[-2:], "")
        )
        if value.path[0] == "defaults":
            known[value.path[1:]] = explanation
        default = f"`{json.dumps(value.default, ensure_ascii=False)}`"
        if len(value.path) == 1:
            parts += ["", f"### {value.path[0]}", "", _plain(explanation), ""]
            parts += (
                ["| value | default | |", "|---|---|---|"]
                if value.is_section
                else [f"Default: {default}"]
            )
        else:
            name = ".".join(value.path)
            shown = "" if value.is_section else default
            parts.append(f"| `{name}` | {_plain(shown)} | {_plain(explanation)} |")
    return "\n".join(parts).strip() + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def readme() -> str:
    """The README as it should be."""
    before, _, rest = (CHART / "README.md").read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + table((CHART / "values.yaml").read_text()) + _END + after


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())

"""Turns raw rows into labelled texts, and says of each row that is none why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.data_recipe import Source
from training.raw_rows import RawRow


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A text with its label's index, and where it came from (``file`` as the recipe names it)."""

    text: str
    label: int
    source: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line, for a person."""
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, without its text: reports may travel further than data."""

    file: str
    line: int
    reason: str


@dataclass(slots=True)
class Labelled:
    """The rows of one file: usable, bad, and those that the label map leaves out."""

    rows: list[LabelledRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    unmapped: int = 0


def label_rows(
    raw: Iterable[RawRow],
    source: Source,
    labels: Sequence[str],
    file: str,
    clean: Callable[[str], str],
    max_characters: int,
) -> Labelled:
    """Read text and label out of every row, clean the text and check both."""
    found = Labelled()
    known = _label_indices(source.label_map, labels)
    for row in raw:
        text, problem = None, row.problem
        if problem is None:
            text, problem = _text(row.fields, source.text, clean, max_characters)
        label: int | None = None
        if problem is None:
            label, problem = _label(row.fields, source.label, known, labels)
        if problem is not None:
            found.bad.append(BadRow(file, row.line, problem))
        elif label is None:
            found.unmapped += 1
        elif text is not None:
            found.rows.append(LabelledRow(text, label, source.name, file, row.line))
    return found


def _label_indices(label_map: Mapping[str, str | None], labels: Sequence[str]) -> dict[str, int]:
    """Label values to indices; -1 marks a value that is left out."""
    if label_map:
        return {
            value: -1 if name is None else labels.index(name) for value, name in label_map.items()
        }
    by_index = {str(index): index for index in range(len(labels))}
    return by_index | {name: index for index, name in enumerate(labels)}


def _text(
    fields: Mapping[str, Any],
    columns: Sequence[str],
    clean: Callable[[str], str],
    max_characters: int,
) -> tuple[str | None, str | None]:
    parts = [fields.get(column) for column in columns]
    for column, part in zip(columns, parts, strict=True):
        # One of several columns may be empty: a review without a title.
        if not isinstance(part, str) and not (part is None and len(columns) > 1):
            return None, f'"{column}" must be a string'
    text = " ".join(part for part in parts if part)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return None, "not UTF-8 text"
    if len(text) > max_characters:
        return None, f"{len(text)} characters, more than {max_characters}"
    text = clean(text)
    return (text, None) if text.strip() else (None, "the text is blank")


def _label(
    fields: Mapping[str, Any], column: str, known: Mapping[str, int], labels: Sequence[str]
) -> tuple[int | None, str | None]:
    value = fields.get(column)
    if value is None:
        return None, f'"{column}" is missing'
    # str(True) would be "True"; JSON and YAML write "true".
    spelled = str(value).lower() if isinstance(value, bool) else str(value).strip()
    index = known.get(spelled)
    if index is None:
        shown = ascii(spelled[:40])
        return None, f"unknown label {shown}; known are {', '.join(sorted(known))}"
    return (None if index < 0 else index), None

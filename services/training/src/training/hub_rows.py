"""Reads data sets of the Hugging Face hub: the only importer of ``datasets``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from training.domain import InputError
from training.raw_rows import RawRow


def read_hub_rows(
    name: str, config: str | None, revision: str | None, split: str, columns: Sequence[str]
) -> list[RawRow]:
    """Download (or take from the hub's cache) one split; a row's line is its place, from 1.

    Raises InputError when ``datasets`` is not installed, when the hub cannot be reached or has no
    such data set, and when ``columns`` are missing.
    """
    where = f"{name}, split {split}"
    try:
        import datasets
    except ImportError as exc:
        raise InputError(
            f"{where}: hub data sets need the library datasets: "
            "install weir-training with its extra 'hub'"
        ) from exc
    try:
        table = datasets.load_dataset(name, config, split=split, revision=revision)
    # Its errors are many (hub, HTTP, cache, builder) and of no common class but this one.
    except Exception as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise InputError(f"{where}: not read from the hub ({reason})") from exc
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise InputError(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(table.column_names)}"
        )
    rows = [
        RawRow(line, {column: row[column] for column in columns})
        for line, row in enumerate(table, start=1)
    ]
    if not rows:
        raise InputError(f"{where}: no rows")
    return rows


def rows_sha256(rows: Sequence[RawRow]) -> str:
    """The SHA-256 (hex) of rows as JSON lines: a hub split has no one file to take it from."""
    total = hashlib.sha256()
    for line in _json_lines(rows):
        total.update(line)
    return total.hexdigest()


def _json_lines(rows: Sequence[RawRow]) -> Iterator[bytes]:
    for row in rows:
        yield (json.dumps(dict(row.fields), sort_keys=True, default=str) + "\n").encode()

"""Reads the rows that a model is evaluated on: a split of prepared data, or one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from training.dataset import read_dataset
from training.domain import Example, InputError
from training.prepared_data import DESCRIPTION, read_prepared


def read_held_out(
    path: Path, split: str, labels: tuple[str, ...]
) -> tuple[tuple[Example, ...], dict[str, Any]]:
    """The rows, and what a report says of them: name, split, rows, digest, rows by source.

    Of a file, the split is what its name says. Raises InputError for other labels than the
    model's, and where there are no rows.
    """
    if not (path / DESCRIPTION).is_file():
        if path.is_dir():
            raise InputError(f"{path}: not a prepared data set (no {DESCRIPTION})")
        dataset = read_dataset(path, labels)
        rows = tuple(replace(row, source=dataset.name) for row in dataset.examples)
        return rows, _described(dataset.name, dataset.split, dataset.sha256, rows)
    data = read_prepared(path, splits=(split,))
    if data.labels != labels:
        raise InputError(
            f"{path}: labels {', '.join(data.labels)}; the model has {', '.join(labels)}"
        )
    rows = data.splits.get(split, ())
    if not rows:
        known = [name.split(".")[0] for name in data.description["files"]]
        raise InputError(f"{path}: no rows in the split {split}; it has {', '.join(known)}")
    return rows, _described(data.name, split, data.sha256, rows)


def _described(name: str, split: str, sha256: str, rows: tuple[Example, ...]) -> dict[str, Any]:
    sources = sorted({row.source for row in rows})
    counts = {source: sum(row.source == source for row in rows) for source in sources}
    return {"name": name, "split": split, "rows": len(rows), "sha256": sha256, "sources": counts}

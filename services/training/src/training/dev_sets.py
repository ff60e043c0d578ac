"""The held-out rows that figures, drift references and comparisons are made on."""

from __future__ import annotations

from pathlib import Path

from training.dataset import read_dataset
from training.domain import Dataset, InputError
from training.prepared_data import DESCRIPTION, PreparedData, read_prepared


def dev_sets(path: Path, labels: tuple[str, ...]) -> tuple[Dataset, ...]:
    """The rows of a file, or the dev rows of a prepared data set by source.

    Raises InputError for rows that cannot be used and for other labels than the model's.
    """
    if not (path / DESCRIPTION).is_file():
        return (read_dataset(path, labels),)
    data = read_prepared(path)
    if data.labels != labels:
        raise InputError(f"{path}: labels {', '.join(data.labels)}, not {', '.join(labels)}")
    return by_source(data)


def by_source(data: PreparedData) -> tuple[Dataset, ...]:
    """The dev rows of a prepared data set, source by source."""
    digest = data.description["files"]["dev.jsonl.gz"]["sha256"]
    rows = data.splits["dev"]
    return tuple(
        Dataset(source, "dev", tuple(row for row in rows if row.source == source), digest)
        for source in sorted({row.source for row in rows})
    )

"""A fine-tuned model on disk, with the record of how it came about.

Reading the record needs no torch; the weights are loaded by who exports them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.base_model import BaseModel
from training.domain import Dataset, InputError, Recipe

RECORD = "training.json"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a package says of a data set that it came from: its name and digest, never its rows."""

    name: str
    split: str
    rows: int
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset) -> DataRecord:
        """Describe a data set as it was read."""
        return cls(dataset.name, dataset.split, len(dataset.examples), dataset.sha256)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """All that is needed to repeat a training run, and how long it took (seconds)."""

    labels: tuple[str, ...]
    base_model: str
    base_model_sha256: str
    licence: str
    data: DataRecord
    recipe: Recipe
    seconds: float
    threads: int
    torch: str
    transformers: str

    @classmethod
    def of(
        cls,
        base: BaseModel,
        train: Dataset,
        labels: Sequence[str],
        recipe: Recipe,
        *,
        seconds: float,
        threads: int,
        torch: str,
        transformers: str,
    ) -> TrainingRecord:
        """Describe a finished run; ``torch`` and ``transformers`` are their versions."""
        return cls(
            labels=tuple(labels),
            base_model=base.name,
            base_model_sha256=base.sha256,
            licence=base.licence,
            data=DataRecord.of(train),
            recipe=recipe,
            seconds=round(seconds, 1),
            threads=threads,
            torch=torch,
            transformers=transformers,
        )


def write_record(directory: Path, record: TrainingRecord) -> None:
    """Write the record into a checkpoint; it comes last and marks the checkpoint as complete."""
    (directory / RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def read_record(directory: Path) -> TrainingRecord:
    """Read the record of a checkpoint. Raises InputError when it is missing or does not fit."""
    try:
        fields: dict[str, Any] = json.loads((directory / RECORD).read_text(encoding="utf-8"))
        fields["labels"] = tuple(fields["labels"])
        fields["data"] = DataRecord(**fields["data"])
        fields["recipe"] = Recipe(**fields["recipe"])
        return TrainingRecord(**fields)
    except OSError as exc:
        raise InputError(f"{directory}: not a finished checkpoint (no {RECORD})") from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise InputError(f"{directory / RECORD}: not a training record ({exc})") from exc

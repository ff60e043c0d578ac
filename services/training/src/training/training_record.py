"""The record beside a finished model: how it came about. Reading it needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.domain import Dataset, InputError
from training.prepared_data import PreparedData
from training.recipe import Recipe
from training.run_files import MODEL

RECORD = "training.json"
TOKENIZER = "tokenizer.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a package says of a file that it came from: its name and digest, never its rows."""

    name: str
    split: str
    rows: int
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset) -> DataRecord:
        """Describe a data set as it was read."""
        return cls(dataset.name, dataset.split, len(dataset.examples), dataset.sha256)

    @classmethod
    def train_files(cls, data: PreparedData) -> tuple[DataRecord, ...]:
        """The files that the train rows of a prepared data set came from."""
        return tuple(
            cls(of["source"], of["split"], of["rows"], of["sha256"])
            for of in data.description["inputs"]
            if of["split"] == "train"
        )


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """All that is needed to repeat a run, and how it went; digests are SHA-256 in hex."""

    labels: tuple[str, ...]
    base_model: str
    base_model_sha256: str
    licence: str
    data: tuple[DataRecord, ...]
    dataset_sha256: str
    recipe: Recipe
    recipe_sha256: str
    layers: tuple[int, ...]
    vocabulary: int
    teacher_sha256: str | None
    code_sha256: str
    steps: int
    best_step: int
    metrics: Mapping[str, Mapping[str, float]]
    seconds: float
    threads: int
    device: str
    precision: str
    torch: str
    transformers: str


def write_record(directory: Path, record: TrainingRecord) -> None:
    """Write the record into the model's directory."""
    fields = {"format": FORMAT, **asdict(record), "recipe": record.recipe.model_dump(mode="json")}
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    (directory / RECORD).write_text(text, encoding="utf-8")


def finished_model(path: Path) -> Path:
    """The model's directory for a run's directory or for itself. Raises InputError for neither."""
    for directory in (path / MODEL, path):
        if (directory / RECORD).is_file():
            return directory
    raise InputError(f"{path}: not a finished run (no {RECORD})")


def read_record(directory: Path) -> TrainingRecord:
    """Read the record of a model. Raises InputError when it is missing or does not fit."""
    path = directory / RECORD
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise InputError(f"{path}: of another format than {FORMAT}")
        fields["labels"] = tuple(fields["labels"])
        fields["layers"] = tuple(fields["layers"])
        fields["data"] = tuple(DataRecord(**of) for of in fields["data"])
        fields["recipe"] = Recipe.model_validate(fields["recipe"])
        return TrainingRecord(**fields)
    except OSError as exc:
        raise InputError(f"{directory}: not a finished run (no {RECORD})") from exc
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InputError(f"{path}: not a training record ({type(exc).__name__})") from exc

"""The directory of a prepared data set: written whole, checked when read.

``train.jsonl.gz``, ``dev.jsonl.gz`` and perhaps ``test.jsonl.gz`` hold rows of ``{"text", "label",
"source"}``; ``dataset.json`` describes them, with their digests; ``data_card.md`` is the same for
people; ``rejected.jsonl`` names the rows that were left out as bad.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.data_card import data_card
from training.data_recipe import Data
from training.domain import Example, InputError
from training.labelled_rows import BadRow, LabelledRow
from training.provenance import file_sha256
from training.staged_directory import staged_directory

FORMAT = 1
DESCRIPTION = "dataset.json"
CARD = "data_card.md"
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A prepared data set in memory; ``sha256`` is that of its description, and so of it all."""

    name: str
    labels: tuple[str, ...]
    splits: Mapping[str, tuple[Example, ...]]
    recipe: Data
    description: Mapping[str, Any]
    sha256: str


def write_prepared(
    target: Path,
    splits: Mapping[str, Sequence[LabelledRow]],
    rejected: Sequence[BadRow],
    described: Mapping[str, Any],
    *,
    replace: bool = False,
) -> str:
    """Write the directory and return the digest of its description.

    The same rows and description give the same bytes. Raises InputError when ``target`` exists
    and is not to be replaced, or cannot be written; nothing of it is visible then.
    """
    with staged_directory(target, replace=replace) as stage:
        files = {}
        for split in SPLITS:
            if rows := splits.get(split, ()):
                path = stage / f"{split}.jsonl.gz"
                _write_rows(path, rows)
                files[path.name] = {"rows": len(rows), "sha256": file_sha256(path)}
        if rejected:
            lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rejected]
            (stage / "rejected.jsonl").write_text("".join(lines), encoding="utf-8")
        complete = {"format": FORMAT, **described, "files": files}
        text = json.dumps(complete, indent=2, ensure_ascii=False) + "\n"
        (stage / DESCRIPTION).write_text(text, encoding="utf-8")
        (stage / CARD).write_text(data_card(complete), encoding="utf-8")
        return file_sha256(stage / DESCRIPTION)


def read_prepared(directory: Path, splits: Sequence[str] = SPLITS) -> PreparedData:
    """Read those ``splits`` of a directory that ``write_prepared`` made that it has.

    Raises InputError when it is none, or when a file is not what the description says.
    """
    path = directory / DESCRIPTION
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        recipe = Data.model_validate(described["recipe"])
        labels, name, files = tuple(described["labels"]), str(described["name"]), described["files"]
    except OSError as exc:
        raise InputError(f"{directory}: not a prepared data set (no {DESCRIPTION})") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not the description of a prepared data set") from exc
    rows = {
        split: _read_rows(directory / file, files[file])
        for file in files
        if (split := file.split(".")[0]) in splits
    }
    return PreparedData(name, labels, rows, recipe, described, file_sha256(path))


def _write_rows(path: Path, rows: Sequence[LabelledRow]) -> None:
    # Without a time stamp and a name in the gzip header, the same rows are the same bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        for row in rows:
            fields = {"text": row.text, "label": row.label, "source": row.source}
            file.write((json.dumps(fields, ensure_ascii=False) + "\n").encode("utf-8"))


def _read_rows(path: Path, described: Mapping[str, Any]) -> tuple[Example, ...]:
    try:
        if file_sha256(path) != described["sha256"]:
            raise InputError(f"{path}: changed since it was prepared (another SHA-256)")
        lines = gzip.decompress(path.read_bytes()).splitlines()
        return tuple(Example(**json.loads(line)) for line in lines)
    except (OSError, EOFError, zlib.error) as exc:
        raise InputError(f"{path}: cannot be read ({exc})") from exc

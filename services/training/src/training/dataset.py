"""Reads labelled text from JSON lines and refuses what a model should not learn from."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from training.domain import Dataset, Example, InputError
from training.provenance import file_sha256


def read_dataset(path: Path, labels: Sequence[str], *, limit: int | None = None) -> Dataset:
    """Read one ``.jsonl`` or ``.jsonl.gz`` file of ``{"text": str, "label": int}`` rows.

    ``…/sst2/dev.jsonl.gz`` is the split ``dev`` of the data set ``sst2``. ``limit`` keeps the
    first rows only; the digest is always that of the whole file. Raises InputError, naming file
    and line, for a file that is missing, corrupt or empty and for a row that does not fit.
    """
    examples: list[Example] = []
    for number, line in enumerate(_lines(path), start=1):
        if limit is not None and len(examples) >= limit:
            break
        examples.append(_example(line, labels, where=f"{path}, line {number}"))
    if not examples:
        raise InputError(f"{path}: no rows")
    return Dataset(
        name=path.resolve().parent.name,
        split=path.name.split(".", 1)[0],
        examples=tuple(examples),
        sha256=file_sha256(path),
    )


def _lines(path: Path) -> list[str]:
    # All at once: the checksum of a gzip file comes last, and its verdict must come before a
    # complaint about a row that is only damaged.
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode("utf-8")
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file") from exc
    # A cut gzip file ends in EOFError, a damaged one in zlib.error or BadGzipFile (an OSError).
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InputError(f"{path}: not a complete gzip file ({exc})") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"{path}: not UTF-8 text ({exc.reason})") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    # Not splitlines(): a JSON string may hold other line separators as they are.
    return text.removesuffix("\n").split("\n") if text else []


def _example(line: str, labels: Sequence[str], *, where: str) -> Example:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as exc:
        raise InputError(f"{where}: not JSON ({exc.msg})") from exc
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object")
    text, label = row.get("text"), row.get("label")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'{where}: "text" must be a string that is not blank')
    # bool is an int in Python, and true is not a class index.
    if not isinstance(label, int) or isinstance(label, bool):
        raise InputError(f'{where}: "label" must be an integer')
    if not 0 <= label < len(labels):
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(labels))
        raise InputError(f"{where}: unknown label {label}; known are {known}")
    return Example(text=text, label=label)

"""Reads tables of text, JSON lines, CSV or TSV, and remembers where each row stands."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.domain import InputError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
# The csv module refuses fields of more than 128 KiB otherwise; lengths are checked later.
LARGEST_FIELD = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in its file; ``problem`` says why it is none."""

    line: int
    fields: Mapping[str, Any]
    problem: str | None = None


def read_rows(path: Path, columns: Sequence[str]) -> list[RawRow]:
    """Read a ``.jsonl``, ``.csv`` or ``.tsv`` file, each also ``.gz``, in file order.

    A row that cannot be read is returned with its problem. Raises InputError for a file that is
    missing, damaged, empty, of an unknown form, or that has not got ``columns`` at all.
    """
    lines = _lines(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix in (".jsonl", ".ndjson"):
        rows = list(_json_rows(lines))
        _check_json_columns(path, rows, columns)
    elif suffix in DELIMITERS:
        rows = list(_table_rows(path, lines, DELIMITERS[suffix], columns))
    else:
        raise InputError(f"{path}: not .jsonl, .csv or .tsv (with or without .gz)")
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def _lines(path: Path) -> list[str]:
    # All at once: the checksum of a gzip file comes last, and its verdict must come before a
    # complaint about a row that is only damaged.
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError as exc:
        raise InputError(f"{path}: no such file") from exc
    # A cut gzip file ends in EOFError, a damaged one in zlib.error or BadGzipFile (an OSError).
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InputError(f"{path}: not a complete gzip file ({exc})") from exc
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: UTF-16 text; save it as UTF-8")
    # Bytes that are no UTF-8 become lone surrogates here, which the row's own check finds, so that
    # the complaint names a line.
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    # Not splitlines(): a JSON string may hold other line separators as they are.
    return text.removesuffix("\n").split("\n") if text else []


def _json_rows(lines: Sequence[str]) -> Iterator[RawRow]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as exc:
            yield RawRow(number, {}, f"not JSON ({exc.msg})")
            continue
        except RecursionError:
            yield RawRow(number, {}, "not JSON (nested too deeply)")
            continue
        if isinstance(row, dict):
            yield RawRow(number, row)
        else:
            yield RawRow(number, {}, "not a JSON object")


def _check_json_columns(path: Path, rows: Sequence[RawRow], columns: Sequence[str]) -> None:
    found = {key for row in rows[:1000] for key in row.fields}
    missing = [column for column in columns if column not in found]
    # Where no row is an object, each row's own complaint says more.
    if found and missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(sorted(found))}"
        )


def _table_rows(
    path: Path, lines: Sequence[str], delimiter: str, columns: Sequence[str]
) -> Iterator[RawRow]:
    csv.field_size_limit(LARGEST_FIELD)
    # A carriage return at a line's end is the file's way of ending lines, not text.
    reader = csv.reader((line.removesuffix("\r") + "\n" for line in lines), delimiter=delimiter)
    header = next(reader, None)
    if header is None:
        return
    missing = [column for column in columns if column not in header]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(header)}")
    while True:
        # A quoted field may span lines: a row is named by its first one.
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            raise InputError(f"{path}, line {line}: not a table row ({exc})") from exc
        if len(values) == len(header):
            yield RawRow(line, dict(zip(header, values, strict=True)))
        else:
            yield RawRow(line, {}, f"{len(values)} fields where the header has {len(header)}")

"""Prepares data: sources to clean, checked, deduplicated, split and mixed rows in a directory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.cleaning import cleaner
from training.data_recipe import Data, Source
from training.domain import InputError
from training.duplicates import deduplicate, leaked, near_key
from training.hub_rows import read_hub_rows, rows_sha256
from training.labelled_rows import BadRow, Labelled, LabelledRow, label_rows
from training.prepared_data import write_prepared
from training.progress import Progress
from training.provenance import code_sha256, file_sha256
from training.raw_rows import RawRow, read_rows
from training.recipe import Recipe
from training.splitting import hold_out, shuffled, weigh

# So many bad or leaked rows are named in an error; the rest is counted.
NAMED = 5
QUANTILES = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}


@dataclass(slots=True)
class _Books:
    """What happened to the rows, per source, for the description."""

    inputs: list[dict[str, Any]] = field(default_factory=list)
    cleaned: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    mixture: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: list[BadRow] = field(default_factory=list)
    kept_evaluation_duplicates: int = 0

    def drop(self, dropped: Mapping[str, Counter[str]]) -> None:
        for source, reasons in dropped.items():
            self.dropped[source].update(reasons)


def prepare(
    recipe: Recipe, data_root: Path, target: Path, progress: Progress, *, replace: bool = False
) -> str:
    """Prepare ``recipe.data`` from files below ``data_root`` into ``target``; return its digest.

    Raises InputError for whatever cannot be used: a file, too many bad rows, leaked texts, a
    missing label. ``target`` appears whole or not at all.
    """
    data, books = recipe.data, _Books()
    given = _read_all(recipe, data_root, books, progress)
    splits = {split: _evaluation_rows(given, split, data, books) for split in ("test", "dev")}
    pool = [row for source in data.sources for row in given[source.name, "train"]]
    splits["dev"] = _without_leaked(splits["dev"], [splits["test"]], "dev", data, books)
    pool = _without_leaked(pool, [splits["test"], splits["dev"]], "train", data, books)
    with progress.task("deduplicating", len(pool), "rows") as advance:
        unique = deduplicate(pool, tick=advance)
    books.drop(unique.dropped)
    splits["train"] = _mixture(unique.rows, data, splits, books)
    _check_labels(splits, recipe)
    progress.say(
        "prepared " + ", ".join(f"{len(rows)} {split}" for split, rows in splits.items()) + " rows"
    )
    described = _description(recipe, splits, books)
    return write_prepared(target, splits, books.rejected, described, replace=replace)


def _read_all(
    recipe: Recipe, root: Path, books: _Books, progress: Progress
) -> dict[tuple[str, str], list[LabelledRow]]:
    rows: dict[tuple[str, str], list[LabelledRow]] = defaultdict(list)
    for source in recipe.data.sources:
        clean = cleaner(recipe.data.cleaning, books.cleaned[source.name])
        for split in ("train", "dev", "test"):
            for file in getattr(source, split):
                raw, sha256 = _raw_rows(source, root, file)
                with progress.task(f"reading {source.name} {split}", len(raw), "rows") as advance:
                    found = label_rows(
                        _ticking(raw, advance),
                        source,
                        recipe.labels,
                        file,
                        clean,
                        recipe.data.max_characters,
                    )
                _judge_bad_rows(found, len(raw), recipe.data.max_bad_share, books, source.name)
                rows[source.name, split] += found.rows
                books.inputs.append(
                    {
                        "source": source.name,
                        "split": split,
                        "file": f"{source.hub} {file}" if source.hub else file,
                        "rows": len(raw),
                        "sha256": sha256,
                    }
                )
    return rows


def _raw_rows(source: Source, root: Path, file: str) -> tuple[list[RawRow], str]:
    columns = (*source.text, source.label)
    if source.hub:
        rows = read_hub_rows(source.hub, source.hub_config, source.hub_revision, file, columns)
        return rows, rows_sha256(rows)
    return read_rows(root / file, columns), file_sha256(root / file)


def _ticking(rows: Iterable[RawRow], tick: Callable[[], object]) -> Iterable[RawRow]:
    for row in rows:
        yield row
        tick()


def _judge_bad_rows(found: Labelled, rows: int, allowed: float, books: _Books, source: str) -> None:
    if len(found.bad) > allowed * rows:
        named = "; ".join(f"{row.file}, line {row.line}: {row.reason}" for row in found.bad[:NAMED])
        more = f"; and {len(found.bad) - NAMED} more" if len(found.bad) > NAMED else ""
        raise InputError(
            f"{len(found.bad)} of {rows} rows are bad, allowed are {allowed:.2%}: {named}{more}"
        )
    books.rejected += found.bad
    books.dropped[source].update({"bad": len(found.bad), "unmapped": found.unmapped})


def _evaluation_rows(
    given: Mapping[tuple[str, str], Sequence[LabelledRow]], split: str, data: Data, books: _Books
) -> list[LabelledRow]:
    rows = [row for source in data.sources for row in given[source.name, split]]
    unique = deduplicate(rows)
    if data.evaluation_duplicates == "keep":
        books.kept_evaluation_duplicates += len(rows) - len(unique.rows)
        return rows
    books.drop(unique.dropped)
    return unique.rows


def _without_leaked(
    rows: list[LabelledRow],
    protected: Sequence[Sequence[LabelledRow]],
    split: str,
    data: Data,
    books: _Books,
) -> list[LabelledRow]:
    keys = {near_key(row.text) for part in protected for row in part}
    if not keys:
        return rows
    found = leaked(rows, keys)
    if found and not data.drop_leaked:
        named = "; ".join(row.where for row in found[:NAMED])
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise InputError(
            f"{len(found)} {split} rows have a text that is held out for measuring: {named}{more} "
            "(--drop-leaked leaves them out)"
        )
    for row in found:
        books.dropped[row.source]["leaked"] += 1
    gone = {id(row) for row in found}
    return [row for row in rows if id(row) not in gone]


def _mixture(
    rows: Sequence[LabelledRow],
    data: Data,
    splits: dict[str, list[LabelledRow]],
    books: _Books,
) -> list[LabelledRow]:
    """Hold out, weigh and shuffle; what is held out is added to ``splits``."""
    mixed: list[LabelledRow] = []
    for source in data.sources:
        parts = hold_out([row for row in rows if row.source == source.name], source, data.seed)
        splits["dev"] += parts["dev"]
        splits["test"] += parts["test"]
        weighed = weigh(parts["train"], source, data.seed)
        mixed += weighed
        if source.train:
            books.mixture[source.name] = {
                "weight": source.weight,
                "rows": len(parts["train"]),
                "mixed": len(weighed),
            }
    return shuffled(mixed, data.seed)


def _check_labels(splits: Mapping[str, Sequence[LabelledRow]], recipe: Recipe) -> None:
    for split, advice in (("train", ""), ("dev", ": give dev files or a dev_share")):
        rows = splits[split]
        if not rows:
            raise InputError(f"no {split} rows are left{advice}")
        counts = Counter(row.label for row in rows)
        if len(counts) == 1:
            raise InputError(f"{split}: every row has the label {recipe.labels[rows[0].label]}")
        # Measuring needs rows of every label as much as learning does, but not the same balance.
        least = recipe.data.min_label_share if split == "train" else 0.0
        for index, name in enumerate(recipe.labels):
            share = counts[index] / len(rows)
            if share == 0 or share < least:
                raise InputError(
                    f"{split}: {counts[index]} of {len(rows)} rows have the label {name}, "
                    f"wanted are at least {least:.0%}"
                )


def _description(
    recipe: Recipe, splits: Mapping[str, Sequence[LabelledRow]], books: _Books
) -> dict[str, Any]:
    # No time of day: the same inputs, recipe and code give the same bytes.
    return {
        "name": recipe.name,
        "labels": list(recipe.labels),
        "recipe": recipe.data.model_dump(mode="json"),
        "code_sha256": code_sha256(),
        "inputs": books.inputs,
        "counts": {split: _counts(splits[split], recipe) for split in ("train", "dev", "test")},
        "mixture": books.mixture,
        "dropped": {source: dict(+reasons) for source, reasons in sorted(books.dropped.items())},
        "kept_evaluation_duplicates": books.kept_evaluation_duplicates,
        "cleaned": {source: dict(steps) for source, steps in books.cleaned.items()},
        "lengths": {split: _lengths(rows) for split, rows in splits.items() if rows},
    }


def _counts(rows: Sequence[LabelledRow], recipe: Recipe) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.source][recipe.labels[row.label]] += 1
    return {source: dict(by_label) for source, by_label in sorted(counts.items())}


def _lengths(rows: Sequence[LabelledRow]) -> dict[str, dict[str, int]]:
    units = {
        "characters": sorted(len(row.text) for row in rows),
        "words": sorted(len(row.text.split()) for row in rows),
    }
    return {
        unit: {name: lengths[round(at * (len(lengths) - 1))] for name, at in QUANTILES.items()}
        for unit, lengths in units.items()
    }

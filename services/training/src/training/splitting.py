"""Holds rows out and weighs sources, by rank of a keyed digest instead of a running generator.

So a row's fate depends on the seed and its own text, not on the rows before it: a file that grows
or changes its order keeps nearly all of its split.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from training.data_recipe import Source
from training.labelled_rows import LabelledRow


def hold_out(
    rows: Sequence[LabelledRow], source: Source, seed: int
) -> dict[str, list[LabelledRow]]:
    """Split a source's rows into ``train``, ``dev`` and ``test`` with the same shares per label."""
    split: dict[str, list[LabelledRow]] = {"train": [], "dev": [], "test": []}
    for group in _by_label(rows):
        ranked = _ranked(group, f"{seed} held out {source.name}")
        dev = round(source.dev_share * len(ranked))
        test = round(source.test_share * len(ranked))
        split["dev"] += ranked[:dev]
        split["test"] += ranked[dev : dev + test]
        split["train"] += ranked[dev + test :]
    return {name: _in_file_order(part, rows) for name, part in split.items()}


def weigh(rows: Sequence[LabelledRow], source: Source, seed: int) -> list[LabelledRow]:
    """Repeat every row ``weight`` times; a fraction is a sample with the same share per label."""
    whole = math.floor(source.weight)
    chosen = list(rows) * whole
    for group in _by_label(rows):
        ranked = _ranked(group, f"{seed} sampled {source.name}")
        chosen += ranked[: round((source.weight - whole) * len(ranked))]
    return chosen


def shuffled(rows: Iterable[LabelledRow], seed: int) -> list[LabelledRow]:
    """The rows in the order that the seed decides."""
    order = list(rows)
    # Reproducible is what this order has to be, not secret.
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def _by_label(rows: Sequence[LabelledRow]) -> list[list[LabelledRow]]:
    groups: dict[int, list[LabelledRow]] = defaultdict(list)
    for row in rows:
        groups[row.label].append(row)
    return [groups[label] for label in sorted(groups)]


def _ranked(rows: Sequence[LabelledRow], key: str) -> list[LabelledRow]:
    prefix = hashlib.blake2b(key.encode(), digest_size=16)

    def rank(row: LabelledRow) -> bytes:
        keyed = prefix.copy()
        keyed.update(row.text.encode())
        return keyed.digest()

    return sorted(rows, key=rank)


def _in_file_order(part: Sequence[LabelledRow], rows: Sequence[LabelledRow]) -> list[LabelledRow]:
    wanted = {id(row) for row in part}
    return [row for row in rows if id(row) in wanted]

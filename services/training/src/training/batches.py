"""The order of rows: batches of similar length under a row and a token limit."""

from __future__ import annotations

import random
from collections.abc import Sequence

# Batches are sorted by length inside pools of this many batches: long enough that rows of a batch
# are of one length, short enough that the order of an epoch stays random.
BATCHES_PER_POOL = 64


def epoch_batches(
    lengths: Sequence[int], *, rows: int, tokens: int, seed: int, epoch: int
) -> list[list[int]]:
    """Indices of one epoch's rows, every row once, in batches.

    A batch has at most ``rows`` rows and, padded to its longest, ``tokens`` tokens; a row that is
    longer than that is alone. The order depends on the arguments only, so that a run can be taken
    up in the middle of an epoch.
    """
    # Reproducible is what this order has to be, not secret.
    shuffler = random.Random(f"{seed} {epoch}")  # noqa: S311
    order = list(range(len(lengths)))
    shuffler.shuffle(order)
    batches: list[list[int]] = []
    pool_size = rows * BATCHES_PER_POOL
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lengths.__getitem__)
        batches += _cut(pool, lengths, rows, tokens)
    # Over the whole epoch: otherwise short and long batches would come pool by pool.
    shuffler.shuffle(batches)
    return batches


def sorted_batches(lengths: Sequence[int], *, rows: int, tokens: int) -> list[list[int]]:
    """Indices of all rows in batches by length, for measuring."""
    return _cut(sorted(range(len(lengths)), key=lengths.__getitem__), lengths, rows, tokens)


def _cut(pool: Sequence[int], lengths: Sequence[int], rows: int, tokens: int) -> list[list[int]]:
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in pool:
        # The newest row is the longest so far: the pool is sorted.
        if batch and (len(batch) == rows or (len(batch) + 1) * lengths[index] > tokens):
            batches.append(batch)
            batch = []
        batch.append(index)
    return [*batches, batch] if batch else batches

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from training.batches import BATCHES_PER_POOL, epoch_batches, sorted_batches

LENGTHS = some.lists(some.integers(1, 300), min_size=1, max_size=200)


@given(LENGTHS, some.integers(1, 16), some.integers(16, 500), some.integers(0, 3))
def test_an_epoch_holds_every_row_once_within_both_limits(
    lengths: list[int], rows: int, tokens: int, epoch: int
) -> None:
    batches = epoch_batches(lengths, rows=rows, tokens=tokens, seed=1, epoch=epoch)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert len(batch) <= rows
        assert padded <= tokens or len(batch) == 1


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    lengths = [n % 7 + 1 for n in range(100)]

    def order(seed: int, epoch: int) -> list[list[int]]:
        return epoch_batches(lengths, rows=4, tokens=1000, seed=seed, epoch=epoch)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_rows_of_a_batch_are_of_one_length() -> None:
    lengths = [n % 4 + 1 for n in range(8 * BATCHES_PER_POOL)]

    batches = epoch_batches(lengths, rows=8, tokens=1000, seed=1, epoch=0)

    assert all(len({lengths[index] for index in batch}) == 1 for batch in batches)


def test_measuring_goes_by_length() -> None:
    batches = sorted_batches([5, 1, 3, 1], rows=2, tokens=8)

    assert batches == [[1, 3], [2], [0]]

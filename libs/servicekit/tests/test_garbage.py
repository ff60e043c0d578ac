"""What was assembled is not searched again, and what is free is given back."""

import gc
from collections.abc import Iterator

import psutil
import pytest

from servicekit.garbage import collect_seldom, give_back_what_is_free, keep_what_is_there


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_there_is_left_alone_and_the_rest_is_looked_at_seldom() -> None:
    collect_seldom()
    assembled = [{"route": number} for number in range(1000)]
    keep_what_is_there()
    assert gc.get_freeze_count() > len(assembled)
    assert gc.get_threshold()[0] > 10_000


def test_cycles_that_come_later_still_go() -> None:
    collect_seldom()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1


async def test_memory_between_what_stays_goes_back_to_the_system() -> None:
    crowd = [bytes(2000) for _ in range(20_000)]
    stays = crowd[-1]
    del crowd
    held = psutil.Process().memory_info().rss
    await give_back_what_is_free()
    assert len(stays) == 2000
    assert psutil.Process().memory_info().rss < held - 20_000_000

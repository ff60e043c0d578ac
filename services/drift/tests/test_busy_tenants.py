"""Who gets windows of their own: the busiest, whoever else is made up."""

import random

import pytest

from drift.busy_tenants import COUNTED, LONGEST_NAME, BusyTenants
from drift.state_codec import StateUnreadable, decode_tenants, encode_tenants


def after(*windows: list[str], most: int = 4) -> BusyTenants:
    """Windows of all tenants, one after the other."""
    busy = BusyTenants()
    for window in windows:
        busy.count(window)
        busy.choose(most)
    return busy


def test_two_busy_tenants_are_both_watched() -> None:
    assert after(["north"] * 60 + ["south"] * 40).watched == ("north", "south")


def test_single_tenant_is_not_watched() -> None:
    assert after(["only"] * 1000, ["only"] * 1000).watched == ()


def test_tenant_that_makes_nearly_everything_is_not_watched_and_the_other_is() -> None:
    assert after(["large"] * 96 + ["small"] * 4).watched == ("small",)


def test_tenant_with_little_traffic_is_not_watched() -> None:
    assert after(["large"] * 500 + ["other"] * 490 + ["tiny"] * 10).watched == ("large", "other")


def test_only_the_busiest_are_watched() -> None:
    window = [name for place, name in enumerate("abcdef") for _ in range(10 * (place + 1))]
    assert after(window, most=2).watched == ("e", "f")


def test_nobody_is_watched_where_it_is_switched_off() -> None:
    busy = after(["north"] * 60 + ["south"] * 40)
    assert sorted(busy.choose(0)) == ["north", "south"]
    assert busy.watched == ()


def test_ten_thousand_made_up_tenants_neither_grow_the_state_nor_push_the_busy_out() -> None:
    made_up = [f"made-up {number}" for number in range(10_000)]
    busy = after(["north"] * 500 + ["south"] * 500)
    random.Random(3).shuffle(made_up)
    for start in range(0, 10_000, 900):
        window = made_up[start : start + 900] + ["north"] * 50 + ["south"] * 50
        random.Random(start).shuffle(window)
        busy.count(window)
        assert busy.choose(4) == []
        assert len(busy.counts) <= COUNTED
    assert busy.watched == ("north", "south")
    assert len(encode_tenants(busy)) < 10_000


def test_busy_tenant_is_found_among_ten_thousand_made_up_ones() -> None:
    window = [f"made-up {number}" for number in range(10_000)] + ["north"] * 1000
    random.Random(5).shuffle(window)
    assert after(window).watched == ("north",)


def test_count_is_never_too_high_and_hardly_too_low() -> None:
    drawn = random.Random(7).choices(range(2000), [1 / (n + 1) for n in range(2000)], k=20_000)
    busy = BusyTenants()
    busy.count(map(str, drawn))
    for tenant in range(50):
        true = drawn.count(tenant)
        assert true - 20_000 / COUNTED <= busy.counts.get(str(tenant), 0) <= true


def test_watched_tenant_gives_way_only_to_one_that_is_twice_as_busy() -> None:
    first = ["a"] * 60 + ["b"] * 40
    busy = after(first, most=1)
    assert busy.watched == ("a",)
    busy.count(["a"] * 40 + ["b"] * 60)
    assert busy.choose(1) == []
    busy.count(["a"] * 5 + ["b"] * 90 + ["c"] * 5)
    assert busy.choose(1) == ["a"]
    assert busy.watched == ("b",)


def test_silent_tenant_keeps_its_place_while_nobody_wants_it() -> None:
    busy = after(["a"] * 60 + ["b"] * 40, *[["b"] * 90 + ["c"] * 10] * 10, most=3)
    assert busy.watched == ("a", "b", "c")


def test_choice_does_not_depend_on_the_batches() -> None:
    drawn = random.Random(9).choices(["a", "b", "c", *map(str, range(500))], k=5000)
    whole, parts = BusyTenants(), BusyTenants()
    whole.count(drawn)
    for start in range(0, 5000, 7):
        parts.count(drawn[start : start + 7])
    assert whole == parts


def test_nameless_and_overlong_tenants_count_in_the_total_alone() -> None:
    busy = BusyTenants()
    busy.count(["", "x" * (LONGEST_NAME + 1), "north"])
    assert (busy.counts, busy.total) == ({"north": 1}, 3)


def test_it_survives_storing() -> None:
    busy = after(["north"] * 60 + ["süd/☃"] * 40)
    assert decode_tenants(encode_tenants(busy)) == busy


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 2, "counts": {"a": -1}}'])
def test_nonsense_is_unreadable(data: bytes) -> None:
    with pytest.raises(StateUnreadable):
        decode_tenants(data)

"""Refusals that repeat are told once, then as a number; kinds of them are bounded."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.refusal_tally import WINDOW, Refusal, RefusalTally

HERE = Refusal("token.authenticate", "TOKEN_EXPIRED", "192.0.2.1", "a", "", "t1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> RefusalTally:
    return RefusalTally(per_source=3, capacity=10, clock=clock)


def test_first_of_a_kind_is_told_and_its_repetitions_are_counted(
    tally: RefusalTally, clock: Clock
) -> None:
    assert tally.news(HERE) == HERE
    assert [tally.news(HERE) for _ in range(4)] == [None] * 4
    assert list(tally.due()) == []
    clock.now += WINDOW
    assert list(tally.due()) == [(HERE, 4)]


def test_who_goes_on_is_told_once_a_minute_and_who_stops_is_news_again(
    tally: RefusalTally, clock: Clock
) -> None:
    tally.news(HERE)
    for _ in range(3):
        assert tally.news(HERE) is None
        clock.now += WINDOW
        assert list(tally.due()) == [(HERE, 1)]
    clock.now += WINDOW
    assert list(tally.due()) == []
    assert tally.news(HERE) == HERE


@pytest.mark.parametrize("field", ["action", "reason", "client_address", "client_id", "target"])
def test_kinds_differ_in_who_what_whence_and_why(tally: RefusalTally, field: str) -> None:
    tally.news(HERE)
    other = HERE._replace(**{field: "other"})
    assert tally.news(other) == other


def test_source_of_many_kinds_is_told_without_details(tally: RefusalTally) -> None:
    for number in range(3):
        assert tally.news(HERE._replace(target=f"t{number}"))
    rough = Refusal(HERE.action, HERE.reason, HERE.client_address)
    assert tally.news(HERE._replace(target="t3")) == rough
    assert tally.news(HERE._replace(client_id="b")) is None
    # Nobody else's kinds are lost for it.
    elsewhere = HERE._replace(client_address="192.0.2.2")
    assert tally.news(elsewhere) == elsewhere


def test_network_of_ipv6_is_one_source(tally: RefusalTally) -> None:
    told = [tally.news(HERE._replace(client_address=f"2001:db8::{n:x}")) for n in range(20)]
    assert len([each for each in told if each]) == 4


def test_client_that_proved_who_it_is_is_a_source_of_its_own(tally: RefusalTally) -> None:
    for number in range(10):
        tally.news(HERE._replace(target=str(number)))
    known = HERE._replace(tenant="acme")
    assert tally.news(known) == known
    told = [tally.news(known._replace(target=f"x{number}")) for number in range(4)]
    assert told[2] == Refusal(HERE.action, HERE.reason, "", "a", "acme")


def test_beyond_all_bounds_only_what_and_why_is_told(tally: RefusalTally) -> None:
    for number in range(10):
        tally.news(HERE._replace(client_address=f"192.0.2.{number}"))
    further = HERE._replace(client_address="198.51.100.1")
    assert tally.news(further) == Refusal(HERE.action, HERE.reason)
    assert tally.news(further._replace(client_address="198.51.100.2")) is None


def test_rest_is_what_was_counted_and_not_told(tally: RefusalTally) -> None:
    tally.news(HERE)
    tally.news(HERE)
    tally.news(HERE._replace(reason="TOKEN_REVOKED"))
    assert list(tally.rest()) == [(HERE, 1)]
    assert list(tally.rest()) == []
    assert tally.news(HERE) == HERE


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(0, 5), st.sampled_from(["", "acme"]), st.floats(0, 40)
        ),
        max_size=200,
    )
)
def test_every_refusal_is_told_or_counted_and_memory_is_bounded(
    traffic: list[tuple[int, int, str, float]],
) -> None:
    clock = Clock()
    tally = RefusalTally(per_source=3, capacity=10, clock=clock)
    told: Counter[str] = Counter()
    for address, target, tenant, pause in traffic:
        refusal = Refusal("a", "R", f"192.0.2.{address}", "c", tenant, str(target))
        told["first"] += tally.news(refusal) is not None
        clock.now += pause
        told["again"] += sum(count for _, count in tally.due())
        # One more for each pair of what and why.
        assert len(tally._minutes) <= 11
        assert sum(tally._kinds_of.values()) == len(tally._minutes)
    told["again"] += sum(count for _, count in tally.rest())
    assert told.total() == len(traffic)

"""Failed logins are bounded, and nobody's failures lock anybody else out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.attempt_limit import WINDOW, AttemptLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> AttemptLimit:
    return AttemptLimit(per_address=3, per_client=5, clock=clock)


def fail(limit: AttemptLimit, times: int, address: str, client_id: str) -> None:
    for _ in range(times):
        assert limit.wait(address, client_id) == 0
        limit.failed(address, client_id)


def test_address_must_wait_after_its_failures_with_whatever_client(
    limit: AttemptLimit, clock: Clock
) -> None:
    fail(limit, 3, "192.0.2.1", "a")
    wait = limit.wait("192.0.2.1", "b")
    assert 0 < wait <= WINDOW / 3
    clock.now += wait
    assert limit.wait("192.0.2.1", "b") == 0


def test_other_address_need_not_wait(limit: AttemptLimit) -> None:
    fail(limit, 3, "192.0.2.1", "a")
    assert limit.wait("192.0.2.2", "a") == 0


def test_client_id_is_bounded_across_addresses(limit: AttemptLimit) -> None:
    for number in range(5):
        fail(limit, 1, f"192.0.2.{number}", "a")
    assert limit.wait("192.0.2.99", "a") > 0
    assert limit.wait("192.0.2.99", "b") == 0


def test_client_at_home_is_not_locked_out_by_others(limit: AttemptLimit) -> None:
    limit.succeeded("192.0.2.50", "a")
    fail(limit, 3, "192.0.2.50", "b")
    for number in range(4):
        fail(limit, 1, f"192.0.2.{number}", "a")
    assert limit.wait("192.0.2.99", "a") >= 0
    assert limit.wait("192.0.2.50", "b") > 0
    assert limit.wait("192.0.2.50", "a") == 0


def test_client_at_home_is_bounded_too(limit: AttemptLimit) -> None:
    limit.succeeded("192.0.2.50", "a")
    fail(limit, 3, "192.0.2.50", "a")
    assert limit.wait("192.0.2.50", "a") > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:another", False),
    ],
)
def test_address_of_ipv6_is_its_network(
    limit: AttemptLimit, one: str, other: str, same: bool
) -> None:
    fail(limit, 3, one, "")
    assert (limit.wait(other, "") > 0) == same


def test_memory_is_bounded(clock: Clock) -> None:
    limit = AttemptLimit(per_address=3, per_client=3, capacity=10, clock=clock)
    for number in range(100):
        limit.failed(f"192.0.2.{number}", f"client-{number}")
        limit.succeeded(f"192.0.2.{number}", f"client-{number}")
    assert len(limit._paid_until) == 10
    assert len(limit._at_home) == 10


@given(st.lists(st.floats(0, 30), max_size=60))
def test_no_minute_sees_more_than_twice_the_limit(pauses: list[float]) -> None:
    clock = Clock()
    limit = AttemptLimit(per_address=3, per_client=3, clock=clock)
    tried: list[float] = []
    for pause in pauses:
        clock.now += pause
        if not limit.wait("192.0.2.1", "a"):
            limit.failed("192.0.2.1", "a")
            tried.append(clock.now)
    for start in tried:
        assert sum(start <= moment < start + WINDOW for moment in tried) <= 6

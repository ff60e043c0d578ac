"""What is revoked, for how long it is remembered, and what that costs."""

from dataclasses import dataclass, field

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from servicekit.request_context import Principal
from servicekit.revocations import (
    CLOCK_LEEWAY,
    LONGEST_LIFE,
    RevocationList,
    RevocationsUnknown,
)

NOW = 1_800_000_000.0


@dataclass
class Revoked:
    """The event's fields."""

    token_id: str = ""
    client_id: str = ""
    occurred_at: Timestamp = field(default_factory=Timestamp)
    expires_at: Timestamp = field(default_factory=Timestamp)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def at(moment: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(int(moment * 1e9))
    return stamp


def token(token_id: str, expires_at: float = NOW + 300) -> Revoked:
    return Revoked(token_id=token_id, occurred_at=at(NOW), expires_at=at(expires_at))


def client(client_id: str, occurred_at: float = NOW) -> Revoked:
    return Revoked(client_id=client_id, occurred_at=at(occurred_at))


def caller(jti: str = "t", client_id: str = "c", issued_at: float = NOW) -> Principal:
    return Principal(client_id, "acme", frozenset(), jti, issued_at + 600, issued_at)


def test_revoked_token_alone_is_refused(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(token("t-1"))
    assert revocations.is_revoked(caller("t-1"))
    assert not revocations.is_revoked(caller("t-2"))


def test_all_tokens_that_a_client_was_issued_before_are_refused(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(client("c-1"))
    assert revocations.is_revoked(caller(client_id="c-1", issued_at=NOW - 100))
    assert not revocations.is_revoked(caller(client_id="c-2", issued_at=NOW - 100))


def test_client_may_get_new_tokens_once_clocks_cannot_mix_them_up(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(client("c-1"))
    assert revocations.is_revoked(caller(client_id="c-1", issued_at=NOW + CLOCK_LEEWAY))
    assert not revocations.is_revoked(caller(client_id="c-1", issued_at=NOW + CLOCK_LEEWAY + 1))


def test_an_earlier_event_that_comes_later_takes_nothing_back(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(client("c-1", NOW))
    revocations.add(client("c-1", NOW - 300))
    assert revocations.is_revoked(caller(client_id="c-1", issued_at=NOW))


def test_event_from_a_clock_far_ahead_does_not_lock_a_client_out(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(client("c-1", NOW + 86_400))
    assert revocations.is_revoked(caller(client_id="c-1", issued_at=NOW))
    assert not revocations.is_revoked(caller(client_id="c-1", issued_at=NOW + 60))


def test_repetitions_take_no_room(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    for _ in range(3):
        revocations.add(token("t-1"))
        revocations.add(client("c-1"))
    assert len(revocations) == 2


@pytest.mark.parametrize("stated", [NOW + 60, NOW + 86_400, 0.0])
def test_what_has_expired_is_forgotten(clock: Clock, stated: float) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(token("t-1", stated))
    revocations.add(client("c-1"))
    clock.now = NOW + LONGEST_LIFE + 4 * CLOCK_LEEWAY
    revocations.forget_expired()
    assert len(revocations) == 0
    assert REGISTRY.get_sample_value("weir_revocations_listed") == 0


def test_token_is_remembered_as_long_as_verifiers_would_take_it(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(token("t-1", NOW + 60))
    clock.now = NOW + 60 + CLOCK_LEEWAY - 0.1
    revocations.forget_expired()
    assert revocations.is_revoked(caller("t-1"))


def test_client_whose_revocation_was_renewed_is_remembered_for_the_later_one(clock: Clock) -> None:
    revocations = RevocationList(clock=clock)
    revocations.add(client("c-1"))
    clock.now += 300
    revocations.add(client("c-1", clock.now))
    clock.now = NOW + LONGEST_LIFE + 3 * CLOCK_LEEWAY
    revocations.forget_expired()
    assert revocations.is_revoked(caller(client_id="c-1", issued_at=NOW + 300))


def test_beyond_its_bound_the_list_forgets_first_what_expires_first(clock: Clock) -> None:
    revocations = RevocationList(clock=clock, most_tokens=2)
    before = REGISTRY.get_sample_value("weir_revocations_dropped_total") or 0.0
    with capture_logs() as logs:
        for name, left in (("a", 300), ("b", 100), ("c", 200), ("d", 50)):
            revocations.add(token(name, NOW + left))
    assert [name for name in "abcd" if revocations.is_revoked(caller(name))] == ["a", "c"]
    assert REGISTRY.get_sample_value("weir_revocations_dropped_total") == before + 2
    assert [entry["event"] for entry in logs] == ["revocations_dropped"]


@pytest.mark.parametrize("event", [Revoked(), Revoked(occurred_at=at(NOW)), Revoked(client_id="c")])
def test_event_that_names_nothing_is_no_revocation(event: Revoked) -> None:
    with pytest.raises(ValueError, match="neither"):
        RevocationList().add(event)


def test_incomplete_list_vouches_for_nobody() -> None:
    with pytest.raises(RevocationsUnknown):
        RevocationList(complete=False).is_revoked(caller())


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(NOW - 600, NOW), st.booleans()), max_size=20
    ),
    st.sampled_from("abc"),
    st.integers(int(NOW) - 600, int(NOW)),
)
def test_nothing_that_was_revoked_ever_passes(
    events: list[tuple[str, float, bool]], name: str, issued_at: int
) -> None:
    revocations = RevocationList(clock=lambda: NOW)
    for subject, moment, whole_client in events:
        revocations.add(client(subject, moment) if whole_client else token(subject, moment + 600))
    due = any(
        subject == name and (issued_at <= moment if whole_client else moment + 600 > NOW)
        for subject, moment, whole_client in events
    )
    assert revocations.is_revoked(caller(name, name, issued_at)) or not due

"""Whose turn it is."""

import pytest

from inference.fair_order import FairOrder


def turns(order: FairOrder[str], costs: dict[str, float], number: int) -> str:
    taken = ""
    for _ in range(number):
        flow = order.first()
        order.serve(flow, costs[flow])
        taken += flow
    return taken


def test_flows_are_served_by_what_they_cost() -> None:
    order: FairOrder[str] = FairOrder()
    order.join("a")
    order.join("b")
    taken = turns(order, {"a": 1.0, "b": 3.0}, 400)
    assert taken.count("a") == pytest.approx(3 * taken.count("b"), abs=3)


def test_newcomer_is_next_and_has_saved_nothing_up() -> None:
    order: FairOrder[str] = FairOrder()
    order.join("a")
    turns(order, {"a": 1.0}, 100)
    order.join("b")
    assert turns(order, {"a": 1.0, "b": 1.0}, 6) in ("bababa", "babaab", "bbabab", "baabab")


def test_leaving_and_coming_back_earns_nothing() -> None:
    order: FairOrder[str] = FairOrder()
    order.join("a")
    order.join("b")
    served = {"a": 0, "b": 0}
    for _ in range(100):
        flow = order.first()
        order.serve(flow, 1.0)
        served[flow] += 1
        order.leave(flow)
        order.join(flow)
    assert served == {"a": 50, "b": 50}


def test_who_was_given_something_in_anothers_turn_waits_for_it() -> None:
    order: FairOrder[str] = FairOrder()
    order.join("a")
    order.join("b")
    order.charge("b", 3.0)
    assert turns(order, {"a": 1.0, "b": 1.0}, 4) in ("aaab", "aaaa")


def test_nobody_is_next_where_nobody_wants_anything() -> None:
    order: FairOrder[str] = FairOrder()
    with pytest.raises(ValueError, match="nobody"):
        order.first()
    order.join("a")
    order.leave("a")
    with pytest.raises(ValueError, match="nobody"):
        order.first()


def test_flows_that_never_come_again_are_forgotten() -> None:
    order: FairOrder[str] = FairOrder()
    order.join("stays")
    for number in range(20_000):
        flow = f"f-{number}"
        order.join(flow)
        if number % 3:
            order.charge(flow, 5.0)
        order.leave(flow)
    assert len(order._left) + len(order._queue) + len(order._given) < 5000
    assert order.first() == "stays"

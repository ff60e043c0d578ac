"""Whether an item is taken on, as far as can be foreseen."""

from dataclasses import dataclass

from inference.domain import Fault, Rejection

_SOONEST_RETRY = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What may wait at the same time."""

    items: int
    """At most; a tenant with less than its equal share of them is taken beyond it."""
    seconds: float
    """Predicted wait at the arrival of a request beyond which it is refused."""
    short_queue: int
    """Items that may always wait, however long they take."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an item would meet."""

    now: float
    seconds: float
    """Of its own run."""
    wait: float
    """Until its run begins."""
    wait_of_request: float
    """What the wait was for the first item of its request: nobody is refused for being long."""
    waiting: int
    waiting_of_tenant: int
    tenants: int
    """That have something waiting, this one included."""
    room: int | None = None
    """Items that the model takes on beside those that wait for it; None for any number."""


def refusal(forecast: Forecast, deadline: float | None, limits: Limits) -> Rejection | None:
    """Why it is not taken on; None if it is.

    DEADLINE_EXCEEDED means that the deadline could not be met even if nothing waited, SATURATED
    that what waits is the reason.
    """
    if deadline is not None:
        if forecast.now + forecast.seconds > deadline:
            return Rejection(Fault.DEADLINE_EXCEEDED, "There is not enough time left to answer.")
        late = forecast.now + forecast.wait + forecast.seconds - deadline
        if late > 0:
            return _saturated("It would be answered too late: too much is waiting.", late)
    if forecast.waiting >= limits.items and (
        forecast.waiting_of_tenant * forecast.tenants >= limits.items
    ):
        return _saturated("Too many predictions are waiting.", forecast.wait / 2)
    if forecast.room is not None and forecast.room < 1:
        return _saturated("Too many predictions are waiting for this model.", forecast.wait / 2)
    late = forecast.wait_of_request - limits.seconds
    if late > 0 and forecast.waiting >= limits.short_queue:
        return _saturated("Too much is waiting.", late)
    return None


def _saturated(message: str, seconds: float) -> Rejection:
    return Rejection(Fault.SATURATED, message, retry_after=max(_SOONEST_RETRY, seconds))

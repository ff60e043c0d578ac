"""Health says whether predictions can be recorded."""

from structlog.testing import capture_logs

from inference.stream_availability import StreamAvailability
from servicekit.event_stream import EventStreamFull, EventStreamUnavailable


class Stream:
    """Takes records, or raises what it is told to."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    async def check(self) -> None:
        if self.failure is not None:
            raise self.failure


async def test_each_change_is_told_and_logged_once() -> None:
    stream, told = Stream(), []

    async def tell(recording: bool) -> None:
        told.append(recording)

    availability = StreamAvailability(stream, tell)
    with capture_logs() as logs:
        for failure in (
            None,
            EventStreamUnavailable("away"),
            EventStreamUnavailable("away"),
            EventStreamFull("full"),
            None,
            None,
        ):
            stream.failure = failure
            await availability.look()
    assert told == [True, False, False, True]
    assert [entry["state"] for entry in logs] == [
        "ready",
        "EVENT_STREAM_UNAVAILABLE",
        "EVENT_STREAM_FULL",
        "ready",
    ]

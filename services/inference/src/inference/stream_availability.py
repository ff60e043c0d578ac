"""Tells health checks whether predictions can be recorded, where they are not made otherwise."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from prometheus_client import Gauge

from servicekit.event_stream import EventStreamUnavailable

_log = structlog.get_logger(__name__)

STREAM_UP = Gauge(
    "weir_inference_event_stream_up", "1 while the event stream takes predictions, else 0."
)


class Stream(Protocol):
    """Where predictions are recorded."""

    async def check(self) -> None:
        """Returns if it takes them now."""
        ...


class StreamAvailability:
    """Looks now and then whether the stream takes predictions, and tells of changes.

    Args:
        tell: called with each change.
    """

    def __init__(self, stream: Stream, tell: Callable[[bool], Awaitable[None]]) -> None:
        self._stream = stream
        self._tell = tell
        self._found = ""

    async def look(self) -> None:
        """Looks once."""
        try:
            await self._stream.check()
            found = "ready"
        except EventStreamUnavailable as error:
            found = error.code
        if found == self._found:
            return
        self._found = found
        STREAM_UP.set(found == "ready")
        write = _log.info if found == "ready" else _log.warning
        write("event_stream", state=found)
        await self._tell(found == "ready")

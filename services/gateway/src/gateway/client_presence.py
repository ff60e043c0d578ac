"""Whether the client of a request is still there."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive

from gateway.http_exchange import exchange_of


class ClientPresence:
    """Watches the connection of a request whose body has been read.

    Args:
        receive: the request's ASGI channel; None where nobody can go away.
    """

    def __init__(self, receive: Receive | None = None) -> None:
        self._receive = receive

    @contextmanager
    def watched(self, when_gone: Callable[[], None]) -> Iterator[None]:
        """Calls `when_gone` if the client leaves before the block does."""
        if self._receive is None:
            yield
            return
        if (exchange := exchange_of(self._receive)) is not None:
            with exchange.watched(when_gone):
                yield
            return
        watch = asyncio.create_task(_wait_until_gone(self._receive, when_gone))
        try:
            yield
        finally:
            watch.cancel()


async def _wait_until_gone(receive: Receive, when_gone: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    when_gone()

"""An HTTP client that is made when it is first needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx


class LateHttp:
    """Makes its client off the event loop, with the first request.

    That reads libraries and authorities for a tenth of a second, which a service that starts had
    better spend on what it waits for. Leave it as an asynchronous context to close the client.

    Args:
        timeout: of each step of a request, seconds.
    """

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """Sends a request; its answer is read within the context (httpx's own method)."""
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=self._timeout)
        async with self._client.stream(method, url, **options) as response:
            yield response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

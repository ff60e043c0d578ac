"""A TCP balancer in the test's own event loop: the Service of Kubernetes before the gateways.

Like kube-proxy it decides once per connection, knows nothing of HTTP, and leaves the connections
alone that there are when a replica is taken out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

_CHUNK = 64 * 1024


class Balancer:
    """Sends each new connection to the next of the replicas that are published at the moment."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._addresses: Sequence[str] = ()
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()

    def publish(self, addresses: Sequence[str]) -> None:
        """Sets the addresses, all with the same port, that connections go to from now on."""
        self._addresses = tuple(addresses)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a client with a replica (asyncio's own hook)."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            # A task that ends as cancelled makes asyncio's streams complain in Python 3.11.
            with suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def close(self) -> None:
        """Ends the connections that are left."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        address = self._addresses[self._turn % len(self._addresses)]
        replica_reader, replica_writer = await asyncio.open_connection(address, self._port)
        try:
            there = asyncio.create_task(_pass_on(reader, replica_writer))
            await _pass_on(replica_reader, writer)
            # Who answers no more reads no more, either.
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
        finally:
            replica_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def running_balancer(port: int) -> AsyncIterator[Balancer]:
    """A balancer on that port of 127.0.0.1, for replicas with the same port elsewhere."""
    balancer = Balancer(port)
    server = await asyncio.start_server(balancer.accept, "127.0.0.1", port)
    try:
        yield balancer
    finally:
        server.close()
        await balancer.close()

"""A gRPC channel whose credentials can be replaced: gRPC itself fixes them when it is opened."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

_GRACE = 600.0
"""Seconds that calls on a replaced channel may go on: as long as the longest stream."""


class ReplaceableChannel(grpc.aio.Channel):
    """Sends each call over the newest channel; calls that are under way end on theirs.

    Args:
        open_one: opens a channel with the credentials of the moment.
        changed: whether they are others than at the last call; asked before each call.
    """

    def __init__(
        self, open_one: Callable[[], grpc.aio.Channel], changed: Callable[[], bool]
    ) -> None:
        self._open_one = open_one
        self._changed = changed
        self._channel = open_one()
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> grpc.aio.Channel:
        """The channel that the next call goes over."""
        if self._changed():
            old, self._channel = self._channel, self._open_one()
            task = asyncio.get_running_loop().create_task(old.close(_GRACE))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._channel

    async def close(self, grace: float | None = None) -> None:
        """Closes it, and those before it at once."""
        for task in self._closing:
            task.cancel()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The newest channel's."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of the newest channel."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits for the newest channel."""
        await self._channel.channel_ready()

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        """A method with one message on each side."""
        return _Method(self, lambda channel: channel.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """A method that answers with a stream."""
        return _Method(self, lambda channel: channel.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """A method that takes a stream."""
        return _Method(self, lambda channel: channel.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """A method with streams on both sides."""
        return _Method(self, lambda channel: channel.stream_stream(*arguments, **options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class _Method:
    """One method, made anew for each channel."""

    def __init__(
        self, channel: ReplaceableChannel, make: Callable[[grpc.aio.Channel], Any]
    ) -> None:
        self._channel = channel
        self._make = make
        self._on: grpc.aio.Channel | None = None
        self._made: Any = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        newest = self._channel.current()
        if newest is not self._on:
            self._on, self._made = newest, self._make(newest)
        return self._made(*arguments, **options)

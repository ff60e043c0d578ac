"""The audit trail while the stream is well, away and away for too long."""

import asyncio
from collections.abc import Sequence

import pytest
import structlog
from google.protobuf.message import Message

from gateway.audit_trail import AuditTrail
from servicekit.event_stream import EventStreamUnavailable
from weir.events.v1 import events_pb2


class Stream:
    """Takes events, or refuses them so many times."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.clients: list[str] = []
        self.tried = asyncio.Event()
        self.taken = asyncio.Event()

    async def publish(self, stream: str, messages: Sequence[Message]) -> None:
        self.tried.set()
        if self.refusals:
            self.refusals -= 1
            raise EventStreamUnavailable("Away.")
        for message in messages:
            assert isinstance(message, events_pb2.AuditRecorded)
            self.clients.append(message.client_id)
        self.taken.set()


def record(trail: AuditTrail, client_id: str) -> None:
    trail.record("token.issue", client_id=client_id, tenant="t", client_address="::1")


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_events_wait_while_the_stream_is_away() -> None:
    stream = Stream(refusals=1)
    trail = AuditTrail(stream, stream="s", capacity=10)
    record(trail, "a")
    record(trail, "b")
    running = asyncio.create_task(trail.run())
    await asyncio.wait_for(stream.taken.wait(), 5)
    assert stream.clients == ["a", "b"]
    await stop(running)


async def test_what_was_not_taken_at_a_stop_is_flushed() -> None:
    stream = Stream(refusals=1)
    trail = AuditTrail(stream, stream="s", capacity=10)
    record(trail, "a")
    running = asyncio.create_task(trail.run())
    await asyncio.wait_for(stream.tried.wait(), 5)
    await stop(running)
    await trail.flush()
    assert stream.clients == ["a"]


async def test_full_queue_drops_and_says_so_once() -> None:
    trail = AuditTrail(Stream(), stream="s", capacity=1)
    with structlog.testing.capture_logs() as logs:
        for client in "abc":
            record(trail, client)
    assert [entry["event"] for entry in logs] == ["audit_events_dropped"]


async def test_recovery_after_a_drop_is_told() -> None:
    stream = Stream()
    trail = AuditTrail(stream, stream="s", capacity=1)
    record(trail, "a")
    record(trail, "b")
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(trail.run())
        await asyncio.wait_for(stream.taken.wait(), 5)
        await asyncio.sleep(0)
        await stop(running)
    assert [entry["event"] for entry in logs] == ["audit_events_kept_again"]
    assert stream.clients == ["a"]


async def test_flush_into_an_absent_stream_counts_the_loss() -> None:
    trail = AuditTrail(Stream(refusals=1), stream="s", capacity=10)
    record(trail, "a")
    with structlog.testing.capture_logs() as logs:
        await trail.flush()
    assert logs[-1]["lost"] == 1

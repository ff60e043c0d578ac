"""CSV into Parquet, a piece at a time: the only importer of arro3 (Apache Arrow's Rust library).

It parses and writes outside of Python's lock, on a thread that waits for the event loop whenever
it needs lines or has bytes. So no more is held than a row group, some lines and a piece.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import IO, Any, TypeVar, cast

from arro3.core import DataType, Field, Schema
from arro3.io import read_csv, write_parquet

_ROW_GROUP = 65_536
"""Rows: readers skip whole groups by their statistics, and a group is held until it is full."""
_PIECE_BYTES = 256 * 1024
_COMPRESSION = "zstd(1)"
_TYPES = {
    "predicted_at": DataType.timestamp("us", tz="UTC"),
    "input_characters": DataType.int32(),
    "input_tokens": DataType.int32(),
    "confidence": DataType.float64(),
    "inference_ms": DataType.float64(),
    "shadow": DataType.bool(),
    "score": DataType.float64(),
}
ResultT = TypeVar("ResultT")


class ParquetConversion:
    """Converts lines of CSV, once.

    Args:
        lines: pieces of CSV without a header, cut anywhere.
        columns: their names. What is no number, moment or truth value becomes a string; an empty
            field becomes null.
    """

    def __init__(self, lines: AsyncIterator[bytes], columns: Sequence[str]) -> None:
        self._lines = lines
        self._schema = Schema(
            [Field(name, _TYPES.get(name, DataType.utf8()), nullable=True) for name in columns]
        )
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._made: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._waiting: Future[Any] | None = None
        self._abandoned = False
        self._fault: BaseException | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the file; it is complete when the iterator ends without an error.

        Raises:
            Exception: whatever the lines raised.
        """
        # Not one of the event loop's own threads, which are for short work.
        threads = ThreadPoolExecutor(1, "parquet")
        feeding = asyncio.create_task(self._feed())
        converting = self._loop.run_in_executor(threads, self._convert)
        try:
            while (piece := await self._made.get()) is not None:
                yield piece
            await converting
        finally:
            self._abandon()
            feeding.cancel()
            await asyncio.wait([feeding, converting])
            # Looked at, so that nobody warns of an error that is told already or wanted by nobody.
            _ = converting.exception()
            threads.shutdown(wait=False)

    async def _feed(self) -> None:
        try:
            async for piece in self._lines:
                # Nothing would be read as the end.
                if piece:
                    await self._arrived.put(piece)
        except Exception as error:
            self._fault = error
        await self._arrived.put(None)

    def _convert(self) -> None:
        """On the thread."""
        try:
            batches = read_csv(
                cast("IO[bytes]", _Lines(self._next_lines)), self._schema, has_header=False
            )
            sink = _Pieces(self._put)
            write_parquet(
                batches,
                cast("IO[bytes]", sink),
                compression=_COMPRESSION,
                max_row_group_size=_ROW_GROUP,
            )
            sink.finish()
        except Exception:
            # Raised by a read, it comes back as the library's own.
            if self._fault is not None:
                raise self._fault from None
            raise
        finally:
            self._put(None)

    def _next_lines(self) -> bytes:
        piece = self._wait_for(self._arrived.get())
        if piece is None and self._fault is not None:
            raise self._fault
        return piece or b""

    def _put(self, piece: bytes | None) -> None:
        self._wait_for(self._made.put(piece))

    def _wait_for(self, work: Coroutine[Any, Any, ResultT]) -> ResultT | None:
        """Has the event loop do something, from the thread; None when nobody wants the file now.

        An error would not do: the library panics where a write fails.
        """
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._waiting = waiting
        if self._abandoned:
            waiting.cancel()
        try:
            return waiting.result()
        except CancelledError:
            return None

    def _abandon(self) -> None:
        self._abandoned = True
        if self._waiting is not None:
            self._waiting.cancel()


class _Lines(io.RawIOBase):
    """A file that asks for more when it is read."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._held = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; none at the end."""
        if not self._held and not self._ended:
            self._held = memoryview(self._more())
            self._ended = not self._held
        taken = bytes(self._held[:size] if size >= 0 else self._held)
        self._held = self._held[len(taken) :]
        return taken


class _Pieces(io.RawIOBase):
    """A file that hands on what is written, in pieces of a fair size."""

    def __init__(self, hand_on: Callable[[bytes], None]) -> None:
        self._hand_on = hand_on
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Takes all of it, and waits while nobody takes what was written before."""
        self._held += data
        if len(self._held) >= _PIECE_BYTES:
            self.finish()
        return len(data)

    def finish(self) -> None:
        """Hands on what is held."""
        self._hand_on(bytes(self._held))
        self._held.clear()

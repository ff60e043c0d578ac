"""CSV into Parquet when something goes wrong on the way."""

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from arro3.io import read_parquet

from prediction_log.errors import LogStoreUnavailable
from prediction_log.parquet_conversion import ParquetConversion

COLUMNS = ["label", "score"]


async def lines(*, batches: int, fails: bool = False) -> AsyncIterator[bytes]:
    for number in range(batches):
        # Hard to compress, so that bytes come before the end.
        yield b"".join(f"{hash((number, row))},{row}.5\n".encode() for row in range(10_000))
    if fails:
        raise LogStoreUnavailable("away")


async def test_file_comes_in_pieces_and_is_read_again() -> None:
    pieces = [piece async for piece in ParquetConversion(lines(batches=30), COLUMNS).pieces()]
    assert len(pieces) > 2
    table = read_parquet(io.BytesIO(b"".join(pieces))).read_all()
    assert (table.num_rows, table.column_names) == (300_000, COLUMNS)


@pytest.mark.parametrize("batches", [0, 1, 20])
async def test_what_the_lines_raise_is_raised_and_no_file_looks_complete(batches: int) -> None:
    pieces = bytearray()

    async def take() -> None:
        async for piece in ParquetConversion(lines(batches=batches, fails=True), COLUMNS).pieces():
            pieces.extend(piece)

    with pytest.raises(LogStoreUnavailable):
        await take()
    assert not pieces.endswith(b"PAR1") or pieces == b"PAR1"


async def test_file_that_nobody_wants_any_more_ends_at_once() -> None:
    conversion = ParquetConversion(lines(batches=1000), COLUMNS).pieces()
    await anext(conversion)
    async with asyncio.timeout(10):
        await conversion.aclose()


async def test_field_that_is_no_number_is_an_error() -> None:
    async def wrong() -> AsyncIterator[bytes]:
        yield b"positive,much\n"

    with pytest.raises(Exception, match="much"):
        async for _ in ParquetConversion(wrong(), COLUMNS).pieces():
            pass

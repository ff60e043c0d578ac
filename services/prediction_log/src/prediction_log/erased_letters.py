"""Dead letters may hold sealed private parts: empties those that are about an erased person."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

from google.protobuf.message import DecodeError
from sqlalchemy import func, select, tuple_, update

from prediction_log.database import Database
from prediction_log.domain import Erasure
from prediction_log.erased_subjects import redact_rows
from prediction_log.input_opening import InputOpener
from prediction_log.tables import DEAD_LETTERS
from weir.events.v1 import events_pb2

_L = DEAD_LETTERS.c
_PAGE = 50
"""Letters at a time; each may hold a megabyte."""
_TYPE = events_pb2.PredictionRecorded.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True)
class _Letter:
    stream: str
    entry_id: str
    data: bytes


class ErasedLetters:
    """The dead letters, as erasures see them."""

    def __init__(self, database: Database, opener: InputOpener) -> None:
        self._database = database
        self._opener = opener

    async def redact(self, erasure: Erasure) -> None:
        """Empties every letter about the subject, and redacts the prediction that goes with it.

        A letter that no key opens stays: nobody can read it. When it is replayed with the right
        key, intake finds the erasure.

        Raises:
            LogStoreUnavailable: the database is away; what is done is done.
        """
        place = _L.stream, _L.entry_id
        query = select(*place, _L.data).where(_L.type_name == _TYPE).order_by(*place).limit(_PAGE)
        following = query
        while True:
            async with self._database.transaction() as connection:
                page = [_Letter(*row) for row in await connection.execute(following)]
            await self._redact_page(erasure, page)
            if len(page) < _PAGE:
                return
            last = page[-1]
            following = query.where(tuple_(*place) > (last.stream, last.entry_id))

    async def _redact_page(self, erasure: Erasure, page: Sequence[_Letter]) -> None:
        emptied = await asyncio.to_thread(
            lambda: [(letter, self._emptied(letter.data, erasure)) for letter in page]
        )
        for letter, fact in emptied:
            if fact is None:
                continue
            async with self._database.transaction() as connection:
                await connection.execute(
                    update(DEAD_LETTERS)
                    .where(_L.stream == letter.stream, _L.entry_id == letter.entry_id)
                    .values(
                        data=fact.SerializeToString(), reason=func.concat(_L.reason, "; erased")
                    )
                )
                await redact_rows(connection, erasure, _identifiers(fact.prediction_id))

    def _emptied(self, data: bytes, erasure: Erasure) -> events_pb2.PredictionRecorded | None:
        """What is left of a letter about the subject; None for other letters."""
        fact = events_pb2.PredictionRecorded()
        try:
            fact.ParseFromString(data)
            is_later = fact.predicted_at.ToDatetime(UTC) > erasure.requested_at
        except DecodeError:
            return None
        except (ValueError, OverflowError):
            is_later = False
        if is_later or fact.tenant != erasure.tenant or not fact.sealed_input:
            return None
        if self._opener.subject_digest(fact) != erasure.subject_digest:
            return None
        for field in ("sealed_input", "request_id"):
            fact.ClearField(field)
        fact.input.ClearField("sha256")
        return fact


def _identifiers(prediction_id: str) -> list[UUID]:
    """The id of the row, if it can be one."""
    try:
        return [UUID(prediction_id)]
    except ValueError:
        return []

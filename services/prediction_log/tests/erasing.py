"""Asks for erasures, and for databases that go away in the middle of one."""

from collections.abc import Callable
from typing import Any

from prediction_log.database import Database
from prediction_log.errors import LogStoreUnavailable
from weir.predictions.v1 import privacy_pb2
from weir.predictions.v1.privacy_pb2 import EraseSubjectRequest, GetErasureRequest

Call = Callable[..., Any]
SUBJECT = "alice@example.org"
TEXT = "Grandmother's parcel never came."


async def erase(call: Call, token: str, subject: str = SUBJECT) -> privacy_pb2.Erasure:
    erasure_now: privacy_pb2.Erasure = (
        await call(EraseSubjectRequest(subject=subject), token=token)
    ).erasure
    return erasure_now


async def state(call: Call, token: str, erasure: Any) -> privacy_pb2.Erasure:
    erasure_now: privacy_pb2.Erasure = (
        await call(GetErasureRequest(erasure_id=erasure.erasure_id), token=token)
    ).erasure
    return erasure_now


class KilledAfter:
    """A database that goes away after some transactions."""

    def __init__(self, database: Database, transactions: int) -> None:
        self._database = database
        self._left = transactions

    def transaction(self) -> Any:
        if self._left == 0:
            raise LogStoreUnavailable("gone")
        self._left -= 1
        return self._database.transaction()

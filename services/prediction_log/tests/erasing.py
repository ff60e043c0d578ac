"""Asks for erasures, and for databases that go away in the middle of one."""

from collections.abc import Callable
from typing import Any

from prediction_log.database import Database
from prediction_log.domain import LogStoreUnavailable
from weir.predictions.v1 import privacy_pb2
from weir.predictions.v1.privacy_pb2 import EraseSubjectRequest, GetErasureRequest

Call = Callable[..., Any]
SUBJECT = "alice@example.org"
TEXT = "Grandmother's parcel never came."


async def erase(call: Call, token: str, subject: str = SUBJECT) -> privacy_pb2.Erasure:
    answer = await call(EraseSubjectRequest(subject=subject), token=token)
    return answer.erasure  # type: ignore[no-any-return]


async def state(call: Call, token: str, erasure: Any) -> privacy_pb2.Erasure:
    answer = await call(GetErasureRequest(erasure_id=erasure.erasure_id), token=token)
    return answer.erasure  # type: ignore[no-any-return]


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

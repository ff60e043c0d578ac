"""Erasures in the log of predictions, as the gateway sees them."""

from datetime import UTC, datetime
from uuid import UUID

import grpc
from pydantic import BaseModel, Field

from gateway.errors import ErasureUnknown
from gateway.upstream import answer_of
from servicekit.errors import NotFound
from weir.predictions.v1 import privacy_pb2 as pb
from weir.predictions.v1 import privacy_pb2_grpc

_SERVICE = "prediction_log"
_STATES = {pb.ERASURE_STATE_RUNNING: "running", pb.ERASURE_STATE_COMPLETE: "complete"}


class Erasure(BaseModel):
    """How far the erasure of a person has come."""

    erasure_id: str
    state: str = Field(
        examples=["running", "complete"],
        description="running: the key is gone, nothing encrypted can be read any more; rows are "
        "being redacted or event streams still hold sealed records. complete: nothing is left.",
    )
    requested_at: datetime = Field(description="Predictions up to this moment are covered.")
    completed_at: datetime | None
    redacted: int = Field(description="Predictions redacted so far.")


class PrivacyClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: privacy_pb2_grpc.PrivacyServiceAsyncStub = privacy_pb2_grpc.PrivacyServiceStub(
            channel
        )

    async def erase(
        self, tenant: str, client_id: str, subject: str, *, client_address: str
    ) -> Erasure:
        """Begins to erase the subject.

        Raises:
            ServiceError: the log or the event stream is away, late or broken; nothing was erased.
        """
        request = pb.EraseSubjectRequest(
            tenant=tenant, client_id=client_id, client_address=client_address, subject=subject
        )
        return _erasure((await answer_of(_SERVICE, self._stub.EraseSubject(request))).erasure)

    async def find(self, tenant: str, erasure_id: UUID) -> Erasure:
        """One of the tenant's erasures.

        Raises:
            ErasureUnknown: the tenant has none of that id.
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetErasureRequest(tenant=tenant, erasure_id=str(erasure_id))
        try:
            answer = await answer_of(_SERVICE, self._stub.GetErasure(request))
        except NotFound as error:
            raise ErasureUnknown("There is no such erasure.") from error
        return _erasure(answer.erasure)


def _erasure(message: pb.Erasure) -> Erasure:
    completed = message.completed_at if message.HasField("completed_at") else None
    return Erasure(
        erasure_id=message.erasure_id,
        state=_STATES.get(message.state, "running"),
        requested_at=message.requested_at.ToDatetime(UTC),
        completed_at=completed.ToDatetime(UTC) if completed else None,
        redacted=message.redacted,
    )

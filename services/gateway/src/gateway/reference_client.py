"""Drift's references, as the gateway sees them."""

from datetime import UTC, datetime

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.reference_answers import KeptReference, KeptReferences
from gateway.reference_shapes import ActivationBody, PromotionBody
from gateway.upstream import answer_of, optional_field
from weir.drift.v1 import references_pb2 as pb
from weir.drift.v1 import references_pb2_grpc

_SERVICE = "drift"


class ReferenceClient:
    """Calls drift over a channel that carries the gateway's token; a change names the client.

    Every call raises:
        NotFound: drift watches no such model or version, or knows no such reference.
        InvalidInput: drift says which argument cannot be.
        ServiceError: drift is away, late or broken.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: references_pb2_grpc.ReferenceServiceAsyncStub = (
            references_pb2_grpc.ReferenceServiceStub(channel)
        )

    async def list(self, model: str, version: str) -> KeptReferences:
        """All of a model version; an empty version is the one that was predicted with last."""
        request = pb.ListReferencesRequest(model=model, version=version)
        answer = await answer_of(_SERVICE, self._stub.ListReferences(request))
        return KeptReferences(
            model=answer.model,
            model_version=answer.model_version,
            references=[_reference(each) for each in answer.references],
        )

    async def promote(self, model: str, client_id: str, body: PromotionBody) -> KeptReference:
        """Makes one of a range of time and puts it in force.

        Raises:
            Conflict: incidents lie in the range, and nobody accepted that.
        """
        request = pb.PromoteReferenceRequest(
            model=model,
            version=body.version,
            reason=body.reason,
            accept_drift=body.accept_drift,
            client_id=client_id,
        )
        getattr(request.range, "from").FromDatetime(body.start)
        request.range.to.FromDatetime(body.until)
        answer = await answer_of(_SERVICE, self._stub.PromoteReference(request))
        return _reference(answer.reference)

    async def activate(
        self, model: str, client_id: str, reference_id: str, body: ActivationBody
    ) -> KeptReference:
        """Puts an earlier one, or the package's own, in force."""
        request = pb.ActivateReferenceRequest(
            model=model,
            version=body.version,
            reference_id=reference_id,
            reason=body.reason,
            client_id=client_id,
        )
        answer = await answer_of(_SERVICE, self._stub.ActivateReference(request))
        return _reference(answer.reference)


def _reference(message: pb.KeptReference) -> KeptReference:
    return KeptReference(
        reference_id=message.reference_id,
        model=message.model,
        model_version=message.model_version,
        source=message.source,
        rows=message.rows,
        windows=message.windows or None,
        first_predicted_at=_moment(message, "first_predicted_at"),
        last_predicted_at=_moment(message, "last_predicted_at"),
        promoted_at=_moment(message, "promoted_at"),
        promoted_by=message.promoted_by or None,
        reason=message.reason or None,
        accepted_drift=message.accepted_drift,
        in_force=message.in_force,
        in_force_since=_moment(message, "in_force_since"),
        in_force_by=message.in_force_by or None,
        in_force_reason=message.in_force_reason or None,
    )


def _moment(message: Message, name: str) -> datetime | None:
    found: Timestamp | None = optional_field(message, name)
    return None if found is None else found.ToDatetime(UTC)

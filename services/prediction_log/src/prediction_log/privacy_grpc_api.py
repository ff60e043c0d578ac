"""PrivacyService over gRPC."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log.converters import identifier_from, invalid, text_from
from prediction_log.domain import MAX_SUBJECT, Erasure
from prediction_log.erasures import Erasures
from prediction_log.errors import PrivacyNotConfigured
from prediction_log.pseudonyms import Pseudonyms
from prediction_log.tenancy import address_of, client_of, tenant_of
from servicekit import request_context
from weir.predictions.v1 import privacy_pb2, privacy_pb2_grpc

SERVICE = privacy_pb2.DESCRIPTOR.services_by_name["PrivacyService"].full_name
SCOPES = {
    f"/{SERVICE}/EraseSubject": "privacy:erase",
    f"/{SERVICE}/GetErasure": "privacy:erase",
}


class PrivacyServicer(privacy_pb2_grpc.PrivacyServiceServicer):
    """Erases for the tenant that the caller belongs to or speaks for.

    Args:
        pseudonyms: None where the service has no keys; then nobody can be erased.
    """

    def __init__(self, erasures: Erasures, pseudonyms: Pseudonyms | None) -> None:
        self._erasures = erasures
        self._pseudonyms = pseudonyms

    async def EraseSubject(
        self, request: privacy_pb2.EraseSubjectRequest, context: Any
    ) -> privacy_pb2.EraseSubjectResponse:
        """Answers once the key is destroyed."""
        tenant = _tenant(request.tenant)
        caller = request_context.principal.get()
        client_id = client_of(caller, request.client_id)
        subject = text_from("subject", request.subject, MAX_SUBJECT)
        if subject is None:
            raise invalid("subject", "is empty")
        if self._pseudonyms is None:
            raise PrivacyNotConfigured("The log has no secret to find subjects with.")
        digest = self._pseudonyms.digest(tenant, subject)
        erasure = await self._erasures.begin(
            tenant,
            text_from("client_id", client_id) or client_id,
            digest,
            client_address=address_of(caller, request.client_address, context.peer()),
        )
        return privacy_pb2.EraseSubjectResponse(erasure=_to_erasure(erasure))

    async def GetErasure(
        self, request: privacy_pb2.GetErasureRequest, context: Any
    ) -> privacy_pb2.GetErasureResponse:
        """One erasure; NOT_FOUND for another tenant's."""
        identifier = identifier_from("erasure_id", request.erasure_id)
        erasure = await self._erasures.find(_tenant(request.tenant), identifier)
        return privacy_pb2.GetErasureResponse(erasure=_to_erasure(erasure))


def _tenant(stated: str) -> str:
    tenant = tenant_of(request_context.principal.get(), stated)
    return text_from("tenant", tenant) or tenant


def _to_erasure(erasure: Erasure) -> privacy_pb2.Erasure:
    message = privacy_pb2.Erasure(
        erasure_id=str(erasure.id),
        state=privacy_pb2.ERASURE_STATE_RUNNING,
        redacted=erasure.redacted,
    )
    message.requested_at.FromDatetime(erasure.requested_at)
    if erasure.completed_at is not None:
        message.state = privacy_pb2.ERASURE_STATE_COMPLETE
        completed = Timestamp()
        completed.FromDatetime(erasure.completed_at)
        message.completed_at.CopyFrom(completed)
    return message

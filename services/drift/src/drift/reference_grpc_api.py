"""The contract of references over gRPC: convert, call, convert."""

from grpc.aio import ServicerContext

from drift.converters import to_range
from drift.reference_converters import from_reference
from drift.reference_desk import ReferenceDesk
from drift.tenancy import client_of
from servicekit import request_context
from weir.drift.v1 import references_pb2 as pb
from weir.drift.v1 import references_pb2_grpc

SERVICE = "weir.drift.v1.ReferenceService"
SCOPES = {
    f"/{SERVICE}/ListReferences": "drift:read",
    f"/{SERVICE}/PromoteReference": "drift:manage",
    f"/{SERVICE}/ActivateReference": "drift:manage",
}


class ReferenceServicer(references_pb2_grpc.ReferenceServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors."""

    def __init__(self, desk: ReferenceDesk) -> None:
        self._desk = desk

    async def ListReferences(
        self, request: pb.ListReferencesRequest, context: "ServicerContext[object, object]"
    ) -> pb.ListReferencesResponse:
        """All that a model version has."""
        about, shown = await self._desk.list(request.model, request.version)
        return pb.ListReferencesResponse(
            model=about.model, model_version=about.version, references=map(from_reference, shown)
        )

    async def PromoteReference(
        self, request: pb.PromoteReferenceRequest, context: "ServicerContext[object, object]"
    ) -> pb.PromoteReferenceResponse:
        """A new one, made of a range of time."""
        shown = await self._desk.promote(
            request.model,
            request.version,
            to_range(request.range),
            who=_client(request.client_id),
            reason=request.reason,
            accept_drift=request.accept_drift,
        )
        return pb.PromoteReferenceResponse(reference=from_reference(shown))

    async def ActivateReference(
        self, request: pb.ActivateReferenceRequest, context: "ServicerContext[object, object]"
    ) -> pb.ActivateReferenceResponse:
        """An earlier one, or the package's own."""
        shown = await self._desk.activate(
            request.model,
            request.version,
            request.reference_id,
            who=_client(request.client_id),
            reason=request.reason,
        )
        return pb.ActivateReferenceResponse(reference=from_reference(shown))


def _client(stated: str) -> str:
    return client_of(request_context.principal.get(), stated)

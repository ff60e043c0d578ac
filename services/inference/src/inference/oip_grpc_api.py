"""The Open Inference Protocol over gRPC: convert, call, convert."""

import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version as version_of
from typing import TypeAlias

from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from inference.delegation import Speaker, speaker_of
from inference.domain import DelegationDenied, ModelNotLoaded, ParametersRefused
from inference.model_control import ModelControl
from inference.model_repository import ModelRepository
from inference.oip_description import to_config, to_index, to_metadata, to_statistics
from inference.oip_inference import OipInference
from inference.oip_statistics import OipStatistics
from inference.ordered_answers import in_order
from servicekit import request_context
from servicekit.errors import ServiceError, Unauthenticated
from servicekit.grpc_interceptors import ANYBODY
from weir.inference.v1 import inference_pb2
from weir.oip.v2 import open_inference_pb2 as pb
from weir.oip.v2 import open_inference_pb2_grpc

OIP_SERVICE = "inference.GRPCInferenceService"
OIP_SCOPES = {
    f"/{OIP_SERVICE}/{method}": scope
    for scope, methods in {
        ANYBODY: ("ServerLive", "ServerReady"),
        "models:predict": ("ModelInfer", "ModelStreamInfer"),
        "models:read": (
            "ModelReady",
            "ServerMetadata",
            "ModelMetadata",
            "ModelConfig",
            "ModelStatistics",
            "RepositoryIndex",
        ),
        "models:manage": ("RepositoryModelLoad", "RepositoryModelUnload"),
    }.items()
    for method in methods
}
EXTENSIONS = ("model_repository", "model_configuration", "statistics", "model_stream_infer")
_DELEGATION = "weir-delegation-bin"
_STREAM_AHEAD = 16
"""Requests of one stream that are under way at once."""
_IGNORED = frozenset({"unload_dependents"})

# Generic in the type stubs alone, hence the quotes.
Context: TypeAlias = "ServicerContext[object, object]"


class OipServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors.

    Args:
        is_ready: whether predictions can be asked for.
        answer_timeout: longest that a request within a stream may take, seconds.
    """

    def __init__(
        self,
        inference: OipInference,
        repository: ModelRepository,
        control: ModelControl,
        statistics: OipStatistics,
        *,
        is_ready: Callable[[], bool],
        answer_timeout: float,
    ) -> None:
        self._inference = inference
        self._repository = repository
        self._control = control
        self._statistics = statistics
        self._is_ready = is_ready
        self._answer_timeout = answer_timeout

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        """An answer is proof enough."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        """Whether predictions can be asked for."""
        return pb.ServerReadyResponse(ready=self._is_ready())

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """What this server is."""
        return pb.ServerMetadataResponse(
            name="weir", version=version_of("weir-inference"), extensions=EXTENSIONS
        )

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        """Whether a model, or one version of it, can be asked."""
        try:
            self._inference.described(request.name, request.version)
        except ModelNotLoaded:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Which tensors a model takes and gives."""
        loaded = self._inference.described(request.name, request.version)
        return to_metadata(self._repository.model(request.name), loaded)

    async def ModelConfig(
        self, request: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        """How a model is served."""
        loaded = self._inference.described(request.name, request.version)
        status = self._repository.model(request.name)
        return pb.ModelConfigResponse(config=to_config(status, loaded, self._inference.most_rows))

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """What this replica has answered; loaded versions that nobody asked are listed, too."""
        if request.name and request.version:
            self._inference.described(request.name, request.version)
        names = [request.name] if request.name else self._repository.names()
        for name in names:
            for version in self._repository.versions(name):
                self._statistics.of(name, version)
        return pb.ModelStatisticsResponse(
            model_stats=[
                to_statistics(entry)
                for entry in self._statistics
                if entry.model in names and entry.version in (request.version or entry.version,)
            ]
        )

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """Lists the versions in the repository."""
        entries = self._control.index()
        return pb.RepositoryIndexResponse(models=to_index(entries, ready_only=request.ready))

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Loads a model."""
        _refuse_parameters(request)
        await self._control.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Takes a model out of service."""
        _refuse_parameters(request)
        await self._control.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Predicts every row or none."""
        return await self._inference.infer(
            request,
            _speaker(context),
            request_id=request_context.request_id.get(),
            deadline=request_context.deadline.get(),
        )

    async def ModelStreamInfer(
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answers in the order of the requests; an error ends its request, not the stream."""
        speaker = _speaker(context)
        request_id = request_context.request_id.get()
        expires_at = request_context.principal.get().expires_at

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            if time.time() >= expires_at:
                raise Unauthenticated("The access token has expired.", reason="TOKEN_EXPIRED")
            try:
                answered = await self._inference.infer(
                    request,
                    speaker,
                    request_id=request_id,
                    deadline=time.monotonic() + self._answer_timeout,
                )
            except ServiceError as error:
                about = pb.ModelInferResponse(
                    id=request.id,
                    model_name=request.model_name,
                    model_version=request.model_version,
                )
                return pb.ModelStreamInferResponse(
                    error_message=error.message, infer_response=about
                )
            return pb.ModelStreamInferResponse(infer_response=answered)

        async for each in in_order(request_iterator, answer, most=_STREAM_AHEAD):
            yield each


def _speaker(context: Context) -> Speaker:
    said = inference_pb2.Delegation()
    for key, value in context.invocation_metadata() or ():
        if key == _DELEGATION and isinstance(value, bytes):
            try:
                said.MergeFromString(value)
            except DecodeError as error:
                raise DelegationDenied("The delegation cannot be read.") from error
    return speaker_of(said, request_context.principal.get())


def _refuse_parameters(
    request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest,
) -> None:
    if unknown := request.parameters.keys() - _IGNORED:
        raise ParametersRefused(f"The parameter {min(unknown)[:100]!r} is not taken here.")

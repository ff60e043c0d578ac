"""The Open Inference Protocol of the inference service: the gateway's only importer of its stub."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
from grpc.aio import AioRpcError, Metadata

from gateway.access import Caller
from gateway.errors import ModelControlDisabled
from gateway.inference_client import INPUT_KEEPING
from gateway.upstream import answer_of
from servicekit.errors import PermissionDenied
from servicekit.grpc_errors import from_rpc_error
from weir.inference.v1 import inference_pb2
from weir.oip.v2 import open_inference_pb2 as pb
from weir.oip.v2 import open_inference_pb2_grpc
from weir.predictions.v1 import keeping_pb2

_SERVICE = "inference"
_DELEGATION = "weir-delegation-bin"
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version in the repository."""

    name: str
    version: str
    state: str
    """READY, LOADING or UNAVAILABLE."""
    reason: str


class V2Client:
    """Calls inference over a channel that carries the gateway's token.

    Every method raises ServiceError: there is no such model, it will not take the request, or
    inference is away, full, late or broken.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: open_inference_pb2_grpc.GRPCInferenceServiceAsyncStub = (
            open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        )

    async def infer(self, message: pb.ModelInferRequest, caller: Caller) -> pb.ModelInferResponse:
        """Predicts on behalf of a caller, whom no part of the message can state."""
        keeping = caller.client.keeping
        delegation = inference_pb2.Delegation(
            caller=inference_pb2.Caller(tenant=caller.tenant, client_id=caller.client_id),
            keeping=keeping_pb2.Keeping(
                input=INPUT_KEEPING[keeping.input], retention_class=keeping.retention_class
            ),
        )
        metadata = Metadata((_DELEGATION, delegation.SerializeToString()))
        return await answer_of(_SERVICE, self._stub.ModelInfer(message, metadata=metadata))

    async def is_ready(self, model: str, version: str) -> bool:
        """Whether the model, or one version of it, can be asked."""
        request = pb.ModelReadyRequest(name=model, version=version)
        return (await answer_of(_SERVICE, self._stub.ModelReady(request))).ready

    async def server_metadata(self) -> pb.ServerMetadataResponse:
        """What inference is and speaks."""
        request = pb.ServerMetadataRequest()
        return await answer_of(_SERVICE, self._stub.ServerMetadata(request))

    async def metadata(self, model: str, version: str) -> pb.ModelMetadataResponse:
        """Which tensors a model takes and gives."""
        request = pb.ModelMetadataRequest(name=model, version=version)
        return await answer_of(_SERVICE, self._stub.ModelMetadata(request))

    async def config(self, model: str, version: str) -> pb.ModelConfig:
        """How a model is served."""
        request = pb.ModelConfigRequest(name=model, version=version)
        return (await answer_of(_SERVICE, self._stub.ModelConfig(request))).config

    async def statistics(self, model: str, version: str) -> Sequence[pb.ModelStatistics]:
        """What the replica that is asked has answered; of every model where none is named."""
        request = pb.ModelStatisticsRequest(name=model, version=version)
        return (await answer_of(_SERVICE, self._stub.ModelStatistics(request))).model_stats

    async def index(self, *, ready: bool) -> list[IndexedVersion]:
        """The versions in the repository."""
        request = pb.RepositoryIndexRequest(ready=ready)
        answer = await answer_of(_SERVICE, self._stub.RepositoryIndex(request))
        return [
            IndexedVersion(each.name, each.version, each.state, each.reason)
            for each in answer.models
        ]

    async def load(self, model: str) -> None:
        """Loads a model.

        Raises:
            ModelControlDisabled: inference leaves that to its repository.
        """
        request = pb.RepositoryModelLoadRequest(model_name=model)
        await answer_of(_SERVICE, _controlled(self._stub.RepositoryModelLoad(request)))

    async def unload(self, model: str) -> None:
        """Takes a model out of service.

        Raises:
            ModelControlDisabled: inference leaves that to its repository.
        """
        request = pb.RepositoryModelUnloadRequest(model_name=model)
        await answer_of(_SERVICE, _controlled(self._stub.RepositoryModelUnload(request)))


async def _controlled(call: Awaitable[AnswerT]) -> AnswerT:
    """Lets through the one refusal of the gateway's own call that its caller must hear."""
    try:
        return await call
    except AioRpcError as error:
        told = from_rpc_error(error, _SERVICE)
        if isinstance(told, PermissionDenied) and told.code == ModelControlDisabled.reason:
            raise ModelControlDisabled(told.message) from error
        raise

"""The Open Inference Protocol of inference, which says what a test tells it."""

import struct
from collections.abc import Sequence
from typing import Any

from servicekit import request_context
from servicekit.errors import NotFound, PermissionDenied
from weir.inference.v1 import inference_pb2
from weir.oip.v2 import open_inference_pb2 as pb
from weir.oip.v2 import open_inference_pb2_grpc

_SERVICE = "../inference.GRPCInferenceService"
OIP_SCOPES = {
    f"{_SERVICE}/{method}": scope
    for scope, methods in {
        "models:predict": ("ModelInfer",),
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


class FakeOip(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every row of `sentiment` alike, raw."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.delegations: list[inference_pb2.Delegation] = []
        self.principals: list[request_context.Principal] = []
        self.failure: Exception | None = None
        self.ready = True
        self.control_disabled = False

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self._note(request, request.model_name)
        metadata = dict(context.invocation_metadata())
        said = inference_pb2.Delegation.FromString(metadata["weir-delegation-bin"])
        self.delegations.append(said)
        rows = request.inputs[0].shape[0]
        answer = pb.ModelInferResponse(
            model_name=request.model_name,
            model_version=request.model_version or "1",
            id=request.id,
        )
        answer.parameters["unlogged"].bool_param = True
        answer.outputs.add(name="label", datatype="BYTES", shape=[rows])
        answer.raw_output_contents.append(b"\x08\0\0\0positive" * rows)
        answer.outputs.add(name="confidence", datatype="FP32", shape=[rows])
        answer.raw_output_contents.append(struct.pack("<f", 0.75) * rows)
        return answer

    async def ModelReady(self, request: Any, context: Any) -> Any:
        self._note(request, request.name)
        return pb.ModelReadyResponse(ready=self.ready)

    async def ServerMetadata(self, request: Any, context: Any) -> Any:
        return pb.ServerMetadataResponse(name="weir", version="0", extensions=["statistics"])

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        self._note(request, request.name)
        tensor = pb.ModelMetadataResponse.TensorMetadata(name="text", datatype="BYTES", shape=[-1])
        return pb.ModelMetadataResponse(name="sentiment", versions=["1"], inputs=[tensor])

    async def ModelConfig(self, request: Any, context: Any) -> Any:
        self._note(request, request.name)
        config = pb.ModelConfig(name="sentiment", max_batch_size=256)
        config.input.add(name="text", data_type="TYPE_STRING", dims=[1])
        config.parameters["task"].string_value = "text-classification"
        return pb.ModelConfigResponse(config=config)

    async def ModelStatistics(self, request: Any, context: Any) -> Any:
        self._note(request, request.name or "sentiment")
        counted = pb.ModelStatistics(name="sentiment", version="1", inference_count=3)
        return pb.ModelStatisticsResponse(model_stats=[counted])

    async def RepositoryIndex(self, request: Any, context: Any) -> Any:
        self._note(request, "sentiment")
        entry = pb.RepositoryIndexResponse.ModelIndex(name="sentiment", version="1", state="READY")
        return pb.RepositoryIndexResponse(models=[entry])

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        self._control(request)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        self._control(request)
        return pb.RepositoryModelUnloadResponse()

    def _control(self, request: Any) -> None:
        if self.control_disabled:
            raise PermissionDenied("Not here.", reason="MODEL_CONTROL_DISABLED")
        self._note(request, request.model_name)

    def _note(self, request: Any, model: str) -> None:
        self.requests.append(request)
        self.principals.append(request_context.principal.get())
        if self.failure:
            raise self.failure
        if model != "sentiment":
            raise NotFound(f"There is no model {model!r}.", reason="MODEL_UNKNOWN")


def register_oip(servicer: FakeOip, server: Any) -> None:
    """Adds it to a server."""
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)


def inputs(*texts: str, **changes: Any) -> dict[str, Any]:
    """A request for texts, as JSON."""
    data: Sequence[str] = list(texts)
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(data)], "data": data}
    return {"inputs": [tensor | changes]}

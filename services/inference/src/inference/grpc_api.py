"""The inference contract over gRPC: convert, call, convert."""

from grpc.aio import ServicerContext

from inference.converters import from_model, from_outcome, to_item
from inference.model_repository import ModelRepository
from inference.predictor import Predictor
from servicekit import request_context
from weir.inference.v1 import inference_pb2 as pb
from weir.inference.v1 import inference_pb2_grpc

SERVICE = "weir.inference.v1.InferenceService"
SCOPES = {
    f"/{SERVICE}/Predict": "models:predict",
    f"/{SERVICE}/ListModels": "models:read",
    f"/{SERVICE}/GetModel": "models:read",
}


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors."""

    def __init__(self, predictor: Predictor, repository: ModelRepository) -> None:
        self._predictor = predictor
        self._repository = repository

    async def Predict(
        self, request: pb.PredictRequest, context: "ServicerContext[object, object]"
    ) -> pb.PredictResponse:
        """Predicts each item."""
        principal = request_context.principal.get()
        request_id = request_context.request_id.get()
        deadline = request_context.deadline.get()
        items = [to_item(item, principal, request_id, deadline) for item in request.items]
        outcomes = await self._predictor.predict(request.model, request.version, items)
        return pb.PredictResponse(outcomes=map(from_outcome, outcomes))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: "ServicerContext[object, object]"
    ) -> pb.ListModelsResponse:
        """Lists the models that are served, or should be."""
        return pb.ListModelsResponse(
            models=[from_model(self._repository.model(name)) for name in self._repository.names()]
        )

    async def GetModel(
        self, request: pb.GetModelRequest, context: "ServicerContext[object, object]"
    ) -> pb.GetModelResponse:
        """Describes one model."""
        return pb.GetModelResponse(model=from_model(self._repository.model(request.model)))

"""The Open Inference Protocol over REST: health, metadata and inference."""

from typing import Any

from fastapi import APIRouter, Request, Security
from starlette.responses import JSONResponse, Response

from gateway.access import BearerAccess, Caller
from gateway.api_description import answering, v2_body_of, v2_problems
from gateway.client_presence import ClientPresence
from gateway.health_checks import HealthChecks
from gateway.idempotency import Idempotency
from gateway.rate_limit_headers import rate_limit_headers
from gateway.request_body import read_decoded
from gateway.v2_answer import JSON_LENGTH, answer_response
from gateway.v2_client import V2Client
from gateway.v2_inference import V2Inference
from gateway.v2_request import read_infer
from gateway.v2_shapes import InferBody
from weir.oip.v2 import open_inference_pb2 as pb

_NO_STORE = {"cache-control": "no-store"}
_SERVER = {
    "name": "weir-inference",
    "version": "0.1.0",
    "extensions": ["model_repository", "statistics", "model_configuration", "binary_tensor_data"],
}
_METADATA = {
    "name": "sentiment",
    "versions": ["1"],
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "label", "datatype": "BYTES", "shape": [-1]}],
}
_INFERRED = {
    "model_name": "sentiment",
    "model_version": "1",
    "id": "a-1",
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["positive"]},
        {"name": "confidence", "datatype": "FP32", "shape": [1], "data": [0.98]},
    ],
}
_READY = {
    **answering({"name": "sentiment", "ready": True}),
    **answering({"name": "sentiment", "ready": False}, 503, "It cannot be asked."),
}


def v2_health_routes(health: HealthChecks) -> APIRouter:
    """The routes that need no token; the status code says it all, the body is for who wants one."""
    router = APIRouter(tags=["open inference protocol"])

    @router.get(
        "/v2/health/live",
        summary="Whether the process works",
        responses=answering({"live": True}),
    )
    async def live() -> Response:
        return JSONResponse({"live": True}, headers=_NO_STORE)

    @router.get(
        "/v2/health/ready",
        summary="Whether inference is there to be asked",
        responses={
            **answering({"ready": True}),
            **answering({"ready": False}, 503, "Inference is away."),
        },
    )
    async def ready() -> Response:
        can_predict = await health.can_predict()
        return JSONResponse({"ready": can_predict}, 200 if can_predict else 503, _NO_STORE)

    return router


def v2_infer_routes(
    access: BearerAccess,
    inference: V2Inference,
    idempotency: Idempotency,
    *,
    max_body_bytes: int,
) -> APIRouter:
    """The routes that predict; their handler reads the body, after the token was checked."""
    router = APIRouter(tags=["open inference protocol"])
    may_predict: Caller = Security(access, scopes=["models:predict"])

    async def answered(request: Request, caller: Caller, model: str, version: str) -> Response:
        body = await read_decoded(request, max_body_bytes)
        call = read_infer(model, version, body, request.headers.get(JSON_LENGTH))
        found = await inference.infer(caller, call, ClientPresence(request.receive))
        return answer_response(call, found.message, rate_limit_headers(found.quotas))

    async def once(request: Request, caller: Caller, model: str, version: str) -> Response:
        return await idempotency.once(
            request, caller, lambda asked: answered(asked, caller, model, version)
        )

    described: dict[str, Any] = {
        "responses": _inferred()
        | v2_problems(400, 401, 403, 404, 408, 409, 413, 415, 429, 502, 503, 504),
        "openapi_extra": v2_body_of(InferBody, binary=True),
        "summary": "Predict the rows of tensors",
    }

    @router.post("/v2/models/{model}/infer", **described)
    async def infer(request: Request, model: str, caller: Caller = may_predict) -> Response:
        """Every row is one prediction on record.

        If one row is refused, the request fails with its error: the protocol has no errors for
        single rows.
        """
        return await once(request, caller, model, "")

    @router.post("/v2/models/{model}/versions/{version}/infer", **described)
    async def infer_with(
        request: Request, model: str, version: str, caller: Caller = may_predict
    ) -> Response:
        """As without a version; empty versions follow the model's routing."""
        return await once(request, caller, model, version)

    return router


def v2_model_routes(access: BearerAccess, models: V2Client) -> APIRouter:
    """The routes that tell about the server and its models."""
    router = APIRouter(
        tags=["open inference protocol"],
        dependencies=[Security(access, scopes=["models:read"])],
        responses=v2_problems(401, 403, 404, 502, 503, 504),
    )

    @router.get("/v2", summary="What this server is", responses=answering(_SERVER))
    async def server() -> dict[str, Any]:
        found = await models.server_metadata()
        return {
            "name": found.name,
            "version": found.version,
            "extensions": [*found.extensions, "binary_tensor_data"],
        }

    async def metadata_of(model: str, version: str) -> dict[str, Any]:
        found = await models.metadata(model, version)
        return {
            "name": found.name,
            "versions": list(found.versions),
            "platform": found.platform,
            "inputs": [_tensor(tensor) for tensor in found.inputs],
            "outputs": [_tensor(tensor) for tensor in found.outputs],
        }

    async def readiness_of(model: str, version: str) -> Response:
        ready = await models.is_ready(model, version)
        content = {"name": model, "ready": ready}
        return JSONResponse(content, 200 if ready else 503, _NO_STORE)

    @router.get(
        "/v2/models/{model}",
        summary="Which tensors a model takes and gives",
        responses=answering(_METADATA),
    )
    async def metadata(model: str) -> dict[str, Any]:
        return await metadata_of(model, "")

    @router.get(
        "/v2/models/{model}/versions/{version}",
        summary="The same of one version",
        responses=answering(_METADATA),
    )
    async def metadata_with(model: str, version: str) -> dict[str, Any]:
        return await metadata_of(model, version)

    @router.get(
        "/v2/models/{model}/ready", summary="Whether a model can be asked", responses=_READY
    )
    async def ready(model: str) -> Response:
        return await readiness_of(model, "")

    @router.get(
        "/v2/models/{model}/versions/{version}/ready",
        summary="The same of one version",
        responses=_READY,
    )
    async def ready_with(model: str, version: str) -> Response:
        return await readiness_of(model, version)

    return router


def _inferred() -> dict[int | str, Any]:
    described = answering(_INFERRED)
    # The JSON, and behind it the bytes of the outputs that were asked for in binary.
    described[200]["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "format": "binary"}
    }
    return described


def _tensor(tensor: pb.ModelMetadataResponse.TensorMetadata) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}

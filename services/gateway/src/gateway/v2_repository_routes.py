"""The Open Inference Protocol's extensions over REST: repository, configuration, statistics."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from fastapi import APIRouter, Request, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import answering, v2_body_of, v2_problems
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route
from gateway.request_body import read_decoded
from gateway.v2_client import V2Client
from gateway.v2_request import parse
from gateway.v2_shapes import ControlBody, IndexBody, V2BodyT
from servicekit.errors import InvalidInput
from weir.oip.v2 import open_inference_pb2 as pb

_IGNORED = frozenset({"unload_dependents"})
_INDEX = [{"name": "sentiment", "version": "1", "state": "READY", "reason": ""}]
_SPENT = {"count": 12, "ns": 36_000_000}
_STATISTICS = {
    "model_stats": [
        {
            "name": "sentiment",
            "version": "1",
            "last_inference": 1_790_000_000_000,
            "inference_count": 12,
            "execution_count": 12,
            "inference_stats": {
                "success": _SPENT,
                "fail": {"count": 0, "ns": 0},
                "compute_infer": _SPENT,
            },
            "batch_stats": [],
        }
    ]
}
_CONFIG = {
    "name": "sentiment",
    "platform": "onnxruntime_onnx",
    "backend": "onnxruntime",
    "max_batch_size": 256,
    "input": [{"name": "text", "data_type": "TYPE_STRING", "dims": [-1]}],
    "output": [{"name": "label", "data_type": "TYPE_STRING", "dims": [-1]}],
    "default_model_filename": "model.onnx",
    "parameters": {"max_tokens": {"string_value": "256"}},
}
_TAGS: list[str | Enum] = ["open inference protocol"]


def v2_repository_routes(
    access: BearerAccess, models: V2Client, audit: AuditTrail, *, max_body_bytes: int
) -> APIRouter:
    """The routes that list, load and unload; what is loaded is loaded for every tenant."""
    router = APIRouter(
        tags=_TAGS,
        route_class=audited_route(audit),
        responses=v2_problems(400, 401, 403, 404, 408, 413, 415, 502, 503, 504),
    )
    may_read: Caller = Security(access, scopes=["models:read"])
    may_manage: Caller = Security(access, scopes=["models:manage"])

    async def read(request: Request, shape: type[V2BodyT]) -> V2BodyT:
        body = await read_decoded(request, max_body_bytes)
        return parse(shape, body or b"{}")

    async def control(request: Request, work: Callable[[str], Awaitable[None]]) -> dict[str, Any]:
        model = request.path_params["model"]
        body = await read(request, ControlBody)
        if unknown := (body.parameters or {}).keys() - _IGNORED:
            raise InvalidInput(f"The parameter {min(unknown)} is not taken here.")
        await work(model)
        return {}

    @router.post(
        "/v2/repository/index",
        openapi_extra=v2_body_of(IndexBody),
        summary="List the versions in the repository",
        responses=answering(_INDEX),
    )
    async def index(request: Request, caller: Caller = may_read) -> list[dict[str, str]]:
        body = await read(request, IndexBody)
        return [
            {
                "name": each.name,
                "version": each.version,
                "state": each.state,
                "reason": each.reason,
            }
            for each in await models.index(ready=body.ready)
        ]

    @router.post(
        "/v2/repository/models/{model}/load",
        openapi_extra=v2_body_of(ControlBody),
        summary="Load what the repository holds of a model",
        responses=answering({}),
    )
    @act("model.load")
    async def load(request: Request, model: str, caller: Caller = may_manage) -> dict[str, Any]:
        return await control(request, models.load)

    @router.post(
        "/v2/repository/models/{model}/unload",
        openapi_extra=v2_body_of(ControlBody),
        summary="Take a model out of service",
        responses=answering({}),
    )
    @act("model.unload")
    async def unload(request: Request, model: str, caller: Caller = may_manage) -> dict[str, Any]:
        return await control(request, models.unload)

    return router


def v2_extension_routes(access: BearerAccess, models: V2Client) -> APIRouter:
    """Configuration and statistics."""
    router = APIRouter(
        tags=_TAGS,
        dependencies=[Security(access, scopes=["models:read"])],
        responses=v2_problems(401, 403, 404, 502, 503, 504),
    )

    async def statistics_of(model: str, version: str) -> dict[str, Any]:
        found = await models.statistics(model, version)
        return {"model_stats": [_statistics(each) for each in found]}

    @router.get(
        "/v2/models/stats",
        summary="What has been answered over this protocol",
        responses=answering(_STATISTICS),
    )
    async def all_statistics() -> dict[str, Any]:
        return await statistics_of("", "")

    @router.get(
        "/v2/models/{model}/stats",
        summary="The same of one model",
        responses=answering(_STATISTICS),
    )
    async def statistics(model: str) -> dict[str, Any]:
        return await statistics_of(model, "")

    @router.get(
        "/v2/models/{model}/versions/{version}/stats",
        summary="The same of one version",
        responses=answering(_STATISTICS),
    )
    async def statistics_with(model: str, version: str) -> dict[str, Any]:
        return await statistics_of(model, version)

    @router.get(
        "/v2/models/{model}/config",
        summary="How a model is served",
        responses=answering(_CONFIG),
    )
    async def config(model: str) -> dict[str, Any]:
        return _config(await models.config(model, ""))

    @router.get(
        "/v2/models/{model}/versions/{version}/config",
        summary="The same of one version",
        responses=answering(_CONFIG),
    )
    async def config_with(model: str, version: str) -> dict[str, Any]:
        return _config(await models.config(model, version))

    return router


def _config(found: pb.ModelConfig) -> dict[str, Any]:
    def tensors(listed: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": each.name,
                "data_type": pb.DataType.Name(each.data_type),
                "dims": list(each.dims),
            }
            for each in listed
        ]

    return {
        "name": found.name,
        "platform": found.platform,
        "backend": found.backend,
        "max_batch_size": found.max_batch_size,
        "input": tensors(found.input),
        "output": tensors(found.output),
        "default_model_filename": found.default_model_filename,
        "parameters": {
            name: {"string_value": value.string_value} for name, value in found.parameters.items()
        },
    }


def _statistics(found: pb.ModelStatistics) -> dict[str, Any]:
    def duration(part: pb.StatisticDuration) -> dict[str, int]:
        return {"count": part.count, "ns": part.ns}

    counted = found.inference_stats
    return {
        "name": found.name,
        "version": found.version,
        "last_inference": found.last_inference,
        "inference_count": found.inference_count,
        "execution_count": found.execution_count,
        "inference_stats": {
            "success": duration(counted.success),
            "fail": duration(counted.fail),
            "compute_infer": duration(counted.compute_infer),
        },
        "batch_stats": [],
    }

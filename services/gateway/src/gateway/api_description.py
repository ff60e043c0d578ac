"""How routes describe themselves in OpenAPI beyond what FastAPI sees."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.types import Receive, Scope, Send

from gateway.admin_shapes import (
    BootstrapBody,
    ClientChangeBody,
    KeyChangeBody,
    NewClientBody,
    NewKeyBody,
)
from gateway.api_answers import Problem
from gateway.api_completion import MEANINGS, complete
from gateway.api_key_description import take_api_keys
from gateway.api_shapes import (
    ErasureBody,
    FeedbackBody,
    PredictBatchBody,
    PredictBody,
    SilenceBody,
)
from gateway.drift_shapes import ComparisonBody, TimeRangeBody
from gateway.reference_shapes import ActivationBody, PromotionBody
from gateway.v2_shapes import ControlBody, IndexBody, InferBody

_REF = "#/components/schemas/{model}"
_READS = (401, 403, 422, 502, 503, 504)
_WRITES = (400, 413, 415, *_READS)


def reading(*more: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route without a body."""
    return _problems((*_READS, *more))


def writing(*more: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route with a JSON body."""
    return _problems((*_WRITES, *more))


def body_of(shape: type[BaseModel]) -> dict[str, Any]:
    """The request body that a handler reads by itself, for `openapi_extra`."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(shape)}},
        }
    }


def v2_body_of(shape: type[BaseModel], *, binary: bool = False) -> dict[str, Any]:
    """The body of a route of the Open Inference Protocol, for `openapi_extra`.

    Args:
        binary: whether tensors may follow the JSON, whose length a header tells then.
    """
    content: dict[str, Any] = {"application/json": {"schema": _ref(shape)}}
    if not binary:
        return {"requestBody": {"content": content}}
    content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    length = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "required": False,
        "description": "Bytes of the JSON that the body begins with; binary tensors follow.",
        "schema": {"type": "integer", "minimum": 0},
    }
    return {"requestBody": {"required": True, "content": content}, "parameters": [length]}


def answering(example: Any, status: int = 200, description: str = "") -> dict[int | str, Any]:
    """The JSON of a route that describes its answer by an example alone.

    Args:
        description: what the status means there; its own phrase when empty.
    """
    content = {"application/json": {"schema": _shape(example), "example": example}}
    return {status: {"description": description or HTTPStatus(status).phrase, "content": content}}


def _shape(example: Any) -> dict[str, Any]:
    if isinstance(example, list):
        return {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "required": sorted(example)}


def v2_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route of the Open Inference Protocol; every bad request is 400 there."""
    return {status: {"description": MEANINGS[status]} for status in statuses}


def _problems(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": MEANINGS[status]} for status in sorted(statuses)}


class DescribedApi(FastAPI):
    """An application whose OpenAPI document has the schemas that FastAPI does not see."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection (ASGI) with what `build_app` put together.

        FastAPI itself would first ask, for each request, whether to make spans and counts of its
        own beside ours.
        """
        if self.middleware_stack is None or scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document (FastAPI's own hook)."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(_schemas(_UNSEEN))
            take_api_keys(document)
            complete(document)
        return super().openapi()


_UNSEEN = (
    Problem,
    PredictBody,
    PredictBatchBody,
    FeedbackBody,
    ErasureBody,
    ComparisonBody,
    TimeRangeBody,
    PromotionBody,
    ActivationBody,
    SilenceBody,
    InferBody,
    IndexBody,
    ControlBody,
    NewClientBody,
    ClientChangeBody,
    NewKeyBody,
    KeyChangeBody,
    BootstrapBody,
)


def _schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    _, document = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}

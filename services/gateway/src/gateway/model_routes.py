"""GET /v1/models."""

from fastapi import APIRouter, Security

from gateway.access import BearerAccess
from gateway.api_answers import ServedModel, ServedModels, ServedVersion
from gateway.api_description import reading
from gateway.inference_client import InferenceClient, Model
from gateway.model_catalogue import ModelCatalogue


def model_routes(
    access: BearerAccess, inference: InferenceClient, catalogue: ModelCatalogue
) -> APIRouter:
    """The routes that tell what is served."""
    router = APIRouter(tags=["models"], dependencies=[Security(access, scopes=["models:read"])])

    @router.get("/v1/models", responses=reading(), summary="List the models that are served")
    async def list_models() -> ServedModels:
        return ServedModels(models=[_view(model) for model in await inference.list_models()])

    @router.get("/v1/models/{model}", responses=reading(404), summary="Describe a model")
    async def get_model(model: str) -> ServedModel:
        return _view(await catalogue.find(model))

    return router


def _view(model: Model) -> ServedModel:
    return ServedModel(
        name=model.name,
        task=model.task,
        labels=list(model.labels),
        versions=[
            ServedVersion(
                version=version.version,
                traffic_percent=version.traffic_percent,
                loaded_at=version.loaded_at,
                state=version.state,
                shadow=version.shadow,
                reason=version.reason,
            )
            for version in model.versions
        ],
        max_characters=model.max_characters,
        max_tokens=model.max_tokens,
    )

"""Health and metrics, for those who run the gateway."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api_description import answering
from gateway.health_checks import HealthChecks
from servicekit.telemetry import exposition

_NO_STORE = {"cache-control": "no-store"}
_COMPONENTS = {"inference": {"status": "healthy", "latency_ms": 1.2}}
_HEALTHY = {"status": "healthy", "model_loaded": True, "components": _COMPONENTS}
_UNHEALTHY = {
    "status": "unhealthy",
    "model_loaded": False,
    "components": {"inference": {"status": "unhealthy", "latency_ms": 1000.4}},
}


def operations_routes(health: HealthChecks) -> APIRouter:
    """The routes; none of them needs a token."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/health",
        summary="How everything is",
        responses={
            **answering(_HEALTHY),
            **answering(_UNHEALTHY, 503, "Predictions cannot be made."),
        },
    )
    async def overall() -> Response:
        """503 when predictions cannot be made, 200 otherwise."""
        found = await health.check()
        content = {
            "status": found.status,
            "model_loaded": found.model_loaded,
            "components": {
                name: {
                    "status": "healthy" if component.healthy else "unhealthy",
                    "latency_ms": component.latency_ms,
                }
                for name, component in found.components.items()
            },
        }
        return JSONResponse(content, 503 if found.status == "unhealthy" else 200, _NO_STORE)

    @router.get(
        "/health/live",
        summary="Whether the process works",
        responses=answering({"status": "healthy"}),
    )
    async def live() -> Response:
        return JSONResponse({"status": "healthy"}, headers=_NO_STORE)

    @router.get(
        "/health/ready",
        summary="Whether inference is there to be asked",
        responses={
            **answering({"status": "healthy"}),
            **answering({"status": "unhealthy"}, 503, "Inference is away."),
        },
    )
    async def ready() -> Response:
        can_predict = await health.can_predict()
        status = "healthy" if can_predict else "unhealthy"
        return JSONResponse({"status": status}, 200 if can_predict else 503, _NO_STORE)

    @router.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        content, content_type = exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    return router

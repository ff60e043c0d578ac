"""The interactive description of the API, with every asset from this process."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_CACHED = {"cache-control": "public, max-age=86400"}
# No inline script, so that the content security policy can forbid them.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weir API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""


def docs_routes() -> APIRouter:
    """The page and its assets, which come with the fastapi-swagger wheel."""
    router = APIRouter(include_in_schema=False)

    assets = files("fastapi_swagger") / "resources"

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(_PAGE)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, headers=_CACHED, media_type="text/javascript")

    def add(name: str, media_type: str) -> None:
        # Read when somebody asks: nearly two MiB that most gateways never show.
        @router.get(f"/docs/{name}")
        def asset() -> Response:
            content = (assets / name).read_bytes()
            return Response(content, headers=_CACHED, media_type=media_type)

    for name, media_type in _TYPES.items():
        add(name, media_type)
    return router

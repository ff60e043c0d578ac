"""Answers with much data, compressed for those who accept gzip."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_PATHS = ("/v1/predictions", "/v1/stats", "/v1/drift", "/v1/models", "/openapi.json", "/docs")
"""Data alone. Where an answer holds a secret, its compressed length would tell of it (BREACH)."""
_DENSE = ("application/vnd.apache.parquet", "image/png")
"""Compressed already."""
_SMALLEST = 1024
_LEVEL = 4
"""A third of the time of the usual 9, for a few percent more bytes."""


class CompressedAnswers:
    """ASGI middleware that compresses what is worth it and passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(
            app,
            minimum_size=_SMALLEST,
            compresslevel=_LEVEL,
            exclude_content_types=_DENSE,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        reads = scope["type"] == "http" and scope["method"] == "GET"
        app = self._compressing if reads and scope["path"].startswith(_PATHS) else self._app
        await app(scope, receive, send)

"""Which pages may call the API from a browser (CORS), where any may at all."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ASKED = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Idempotency-Key",
    "Inference-Header-Content-Length",
    "Weir-Subject",
    "X-API-Key",
    "X-Request-ID",
    "X-Request-Timeout",
    "traceparent",
)
_TOLD = (
    "Content-Disposition",
    "Deprecation",
    "Idempotency-Status",
    "Inference-Header-Content-Length",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-Trace-ID",
)
_REMEMBERED = 600
"""Seconds that a browser keeps a preflight's answer."""


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """What answers preflights, which carry no token, and names the origin that may read answers.

    Credentials are never allowed: a browser has none of ours, tokens are the page's own to send. So
    even `*` opens nothing to a page that was not given a token.

    Args:
        origins: scheme, host and port of each; none turns it off.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED,
            expose_headers=_TOLD,
            allow_credentials=False,
            max_age=_REMEMBERED,
        )
    ]

"""Reads libraries without parts that are there for others.

structlog draws tracebacks with rich, redis counts with OpenTelemetry's metrics and httpx is a
command, too, wherever what these need is installed. Our logs are JSON, our metrics are
Prometheus's, and a service is no command: it is ready a fifth sooner without, and smaller.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_UNUSED = {
    "structlog": ("rich",),
    "redis.asyncio": ("opentelemetry.sdk.metrics",),
    "httpx": ("httpx._main",),
    "opentelemetry.sdk.resources": ("psutil",),
}
"""What libraries read if they find it, and say nothing where they do not."""


def read_lean(*libraries: str) -> None:
    """Reads the libraries; call it before anything else that reads them does."""
    for library in libraries:
        with _absent(_UNUSED[library]):
            import_module(library)


@contextmanager
def _absent(modules: tuple[str, ...]) -> Iterator[None]:
    """Within it these seem not to be installed, but to those who have read them already."""
    hidden = [name for name in modules if name not in sys.modules]
    # None is Python's own sign of a module that is not to be found.
    absent: dict[str, Any] = dict.fromkeys(hidden)
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]

"""Looks from outside whether something works."""

import errno
import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TIMEOUT = 0.5
_HEALTH_TIMEOUT = 3.0
# A proxy that the machine is set up to use knows nothing of this machine's own services.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Health:
    """What the gateway says about the platform."""

    status: str = "unreachable"
    troubled: dict[str, str] = field(default_factory=dict)
    """Components that are not healthy, with their status."""


def accepts_connections(socket_path: Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(str(socket_path))
    except OSError:
        return False
    return True


def answers_http(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with _direct.open(url, timeout=_TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def read_health(address: str) -> Health:
    """Asks the gateway for the health of all components."""
    try:
        with _direct.open(f"{address}/health", timeout=_HEALTH_TIMEOUT) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        # An unhealthy platform says so with 503 and the same body.
        with error:
            content = _json_or_nothing(error.read())
    except (OSError, ValueError):
        return Health()
    components = content.get("components", {})
    troubled = {
        name: str(component.get("status"))
        for name, component in components.items()
        if component.get("status") != "healthy"
    }
    return Health(str(content.get("status", "unreachable")), troubled)


def _json_or_nothing(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def why_port_is_taken(host: str, port: int) -> str | None:
    """Why nobody can listen on a TCP port now; None when it is free."""
    with socket.socket(socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is in use: set WEIR_PORT to another one"
            return f"port {port} cannot be used ({error.strerror}): set WEIR_PORT to another one"
    return None

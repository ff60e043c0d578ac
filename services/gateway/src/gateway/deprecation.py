"""How a route says that it will go away: Deprecation (RFC 9745) and Sunset (RFC 8594).

A route declares it where it is defined, and its answers and the API's description tell it:

    @router.get("/v1/old", **Deprecation(since=…, sunset=…, link="https://…").described())
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

_EXTRA = "x-deprecation"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when a route should not be used any more, and until when it can be."""

    since: datetime
    sunset: datetime | None = None
    """After this moment it may be gone; None while that is open."""
    link: str = ""
    """A page that says what to use instead."""

    def headers(self) -> dict[str, str]:
        """What the route's answers carry."""
        headers = {"deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset:
            headers["sunset"] = format_datetime(self.sunset, usegmt=True)
        if self.link:
            headers["link"] = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return headers

    def described(self, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Arguments for the route's decorator.

        Args:
            extra: what else its `openapi_extra` holds.
        """
        return {"deprecated": True, "openapi_extra": {**(extra or {}), _EXTRA: self.headers()}}


def deprecation_headers(route: Any) -> list[tuple[bytes, bytes]]:
    """The headers that a route's declaration asks for; none for nearly all."""
    extra = getattr(route, "openapi_extra", None)
    if not extra or _EXTRA not in extra:
        return []
    return [(name.encode(), value.encode()) for name, value in extra[_EXTRA].items()]

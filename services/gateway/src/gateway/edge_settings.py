"""The settings of the public side."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gateway.forwarded_client import TrustedHops
from gateway.http_connection import ConnectionLimits
from servicekit.settings import TelemetrySettings


class HttpSettings(TelemetrySettings):
    """How HTTP is served."""

    http_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0 takes any free one."
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM: the certificate to serve HTTPS with, followed by those up to its root. "
        "Read anew when it changes. Without one, TLS is a proxy's task.",
    )
    tls_key_file: Path | None = Field(default=None, description="Its key, PEM, unencrypted.")
    trusted_proxies: str = Field(
        default="127.0.0.1",
        description="Addresses and networks, comma-separated, of the proxies whose word on the "
        "client's address and scheme is believed.",
    )
    forwarded_header: Literal["x-forwarded", "forwarded"] = Field(
        default="x-forwarded",
        description="Where these proxies tell them: X-Forwarded-For and -Proto, or Forwarded "
        "(RFC 7239). The other one is not read: it would be the client's own.",
    )
    cors_origins: str = Field(
        default="",
        description="Origins, comma-separated, whose pages may call the API from a browser, such "
        "as https://app.example.com; * for any. Cookies are never asked for.",
    )
    request_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Longest that a request may take, seconds; its X-Request-Timeout shortens it.",
    )
    export_timeout: float = Field(
        default=600.0,
        gt=0,
        description="Longest that an export may take, seconds; the prediction log's "
        "WEIR_GRPC_STREAM_TIMEOUT bounds it, too.",
    )
    max_body_bytes: int = Field(
        default=1024 * 1024,
        gt=0,
        description="Largest body read, as it comes and as it is after decompression.",
    )
    max_connections: int = Field(
        default=2048, gt=0, description="Connections beyond these are refused with 503."
    )
    max_headers: int = Field(default=100, gt=0, description="Most headers of a request.")
    max_header_bytes: int = Field(
        default=32_768, gt=0, description="Largest sum of all headers' names and values."
    )
    max_request_line_bytes: int = Field(default=8192, gt=0, description="Longest target.")
    header_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Longest that a TLS handshake, and a request's headers, may take, seconds.",
    )
    idle_timeout: float = Field(
        default=30.0, ge=1, description="Seconds that a connection may be idle between requests."
    )
    stalled_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds after which a client is cut off that does not read its answer.",
    )
    max_batch: int = Field(
        default=256, gt=0, description="Most texts in one batch; inference must take as many."
    )
    idempotency_lifetime: float = Field(
        default=86_400.0,
        gt=0,
        description="Seconds that the answer to an Idempotency-Key is repeated.",
    )
    breaker_pause: float = Field(
        default=1.0,
        gt=0,
        description="Seconds between two tries of a service behind the gateway that is away.",
    )
    drain_seconds: float = Field(
        default=1.0,
        ge=0,
        description="Seconds after a stop request in which connections that nobody uses stay open: "
        "a client that comes back within them is told with its answer to go elsewhere.",
    )
    shutdown_grace: float = Field(
        default=10.0, ge=0, description="Seconds that running requests get to finish at a stop."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, listed: str) -> str:
        TrustedHops(listed)
        return listed

    def connection_limits(self) -> ConnectionLimits:
        """The bounds of every connection."""
        return ConnectionLimits(
            connections=self.max_connections,
            request_line_bytes=self.max_request_line_bytes,
            headers=self.max_headers,
            header_bytes=self.max_header_bytes,
            header_seconds=self.header_timeout,
            idle_seconds=self.idle_timeout,
            stalled_seconds=self.stalled_timeout,
        )

    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`."""
        return tuple(each.strip() for each in self.cors_origins.split(",") if each.strip())

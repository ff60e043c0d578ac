"""Shared pieces of the services' settings, read from the environment with the prefix WEIR_.

A service's own class inherits the pieces that it needs and adds its fields:
`class Settings(GrpcServerSettings, TelemetrySettings): ...`.

What no environment should show (a URL with a password) may be a file instead: `weir_<field>` in the
directory that WEIR_SECRETS_DIR names.
"""

import os
import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

_SECRETS_DIR = "WEIR_SECRETS_DIR"


class EnvironmentSettings(BaseSettings):
    """Reads WEIR_<FIELD>; settings do not change while a process runs.

    Raises:
        NotADirectoryError: WEIR_SECRETS_DIR names none.
    """

    model_config = SettingsConfigDict(env_prefix="WEIR_", frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the files (pydantic's own hook)."""
        directory = os.environ.get(_SECRETS_DIR)
        if not directory:
            return init_settings, env_settings
        if not Path(directory).is_dir():
            raise NotADirectoryError(f"{_SECRETS_DIR}: {directory} is no directory")
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, directory)


class TelemetrySettings(EnvironmentSettings):
    """Logs, traces and metrics."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log event that is written."
    )
    otlp_endpoint: str = Field(
        default="", description="OTLP/gRPC collector for spans, host:port; empty exports none."
    )
    trace_file: Path | None = Field(
        default=None, description="File that finished spans are appended to, one JSON each."
    )
    trace_sample_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of new traces that are recorded."
    )
    trace_rate: float = Field(
        default=4.0,
        ge=0,
        description="New traces recorded a second at most, 0 for no bound: an idle service records "
        "each, a busy one does not spend itself on them. A caller's own decision goes before both.",
    )
    metrics_address: str = Field(
        default="0.0.0.0:9090",
        description="host:port of the Prometheus endpoint of a gRPC service; port 0 takes any.",
    )
    instance: str = Field(
        default_factory=socket.gethostname,
        description="This replica's name, in logs, spans and as the event consumer's name.",
    )


class GrpcServerSettings(EnvironmentSettings):
    """The gRPC side of a service."""

    grpc_address: str = Field(
        default="0.0.0.0:50051", description="Where to listen: host:port or unix:path."
    )
    grpc_default_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Longest that a call may take, seconds.",
    )
    grpc_stream_timeout: float = Field(
        default=600.0,
        gt=0,
        description="Longest that a call with a stream of messages may take, seconds.",
    )
    grpc_max_message_bytes: int = Field(
        default=4 * 1024 * 1024, gt=0, description="Largest request that is read."
    )
    grpc_max_concurrent_calls: int = Field(
        default=1000, gt=0, description="Calls beyond these are refused with RESOURCE_EXHAUSTED."
    )
    grpc_connection_age: float = Field(
        default=3.0,
        gt=0,
        description="Seconds after which a connection is asked to close, so that clients look for "
        "new replicas and leave those that are gone. Between a replica's removal from DNS and its "
        "stop should lie a little more.",
    )
    shutdown_grace: float = Field(
        default=10.0, ge=0, description="Seconds that running calls get to finish at a stop."
    )
    grpc_tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM certificate, with those between it and its authority's: then the server "
        "speaks TLS alone. Read again when it changes.",
    )
    grpc_tls_key_file: Path | None = Field(
        default=None, description="PEM private key of that certificate, without a password."
    )
    grpc_tls_client_ca_file: Path | None = Field(
        default=None,
        description="PEM certificates of the authorities that sign clients' certificates: then "
        "every connection must show one (mTLS), those of health probes, too: Kubernetes' own gRPC "
        "probes speak no TLS, so probe with grpc_health_probe -tls and its -tls-client-cert and "
        "-tls-client-key, or with tcpSocket.",
    )
    delegate_client: str = Field(
        default="weir-gateway",
        description="The client that may say on whose behalf it calls, given the scope delegate.",
    )
    delegate_certificate_name: str = Field(
        default="",
        description="DNS name or URI that its certificate must hold besides; empty for none. It "
        "takes clients' certificates to be asked for.",
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.grpc_tls_certificate_file is None) != (self.grpc_tls_key_file is None):
            raise ValueError("grpc_tls_certificate_file and grpc_tls_key_file go together")
        if self.grpc_tls_client_ca_file and not self.grpc_tls_certificate_file:
            raise ValueError("grpc_tls_client_ca_file needs grpc_tls_certificate_file")
        if self.delegate_certificate_name and not self.grpc_tls_client_ca_file:
            raise ValueError("delegate_certificate_name needs grpc_tls_client_ca_file")
        return self


class GrpcClientSettings(EnvironmentSettings):
    """How other services are called."""

    grpc_ca_file: Path | None = Field(
        default=None,
        description="PEM certificates of the authorities that sign servers' certificates: then "
        "calls go over TLS. Read again when it changes.",
    )
    grpc_client_certificate_file: Path | None = Field(
        default=None, description="PEM certificate to show to servers that ask for one (mTLS)."
    )
    grpc_client_key_file: Path | None = Field(
        default=None, description="PEM private key of that certificate, without a password."
    )

    @model_validator(mode="after")
    def _client_tls_is_whole(self) -> Self:
        if (self.grpc_client_certificate_file is None) != (self.grpc_client_key_file is None):
            raise ValueError("grpc_client_certificate_file and grpc_client_key_file go together")
        if self.grpc_client_certificate_file and not self.grpc_ca_file:
            raise ValueError("grpc_client_certificate_file needs grpc_ca_file")
        return self


class TokenSettings(EnvironmentSettings):
    """Which access tokens are believed."""

    issuer: str = Field(
        default="http://127.0.0.1:8080", description="The `iss` that a token must carry."
    )
    audience: str = Field(default="weir", description="The `aud` that a token must hold.")
    jwks_url: str = Field(
        default="http://127.0.0.1:8080/.well-known/jwks.json",
        description="Where the issuer publishes its keys.",
    )
    further_audiences: str = Field(
        default="", description="Other `aud`, comma-separated, that a token may hold instead."
    )
    revocations_stream: str = Field(
        default="weir:revocations",
        description="Stream of the events Redis that tells which tokens were revoked.",
    )


class EventSettings(EnvironmentSettings):
    """The Redis that holds the event streams; it must not lose what it acknowledged."""

    events_redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, rediss:// or unix:// address of the events Redis.",
    )
    events_timeout: float = Field(
        default=2.0, gt=0, description="Longest wait for the events Redis, seconds."
    )
    events_reserve: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the events Redis's memory limit at which publishers stop, so that "
        "consumers, which write their progress there, can always catch up and make room.",
    )

"""The gateway's settings, read from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr

from gateway.edge_settings import HttpSettings
from gateway.token_settings import TokenIssuingSettings
from servicekit.settings import (
    EnvironmentSettings,
    EventSettings,
    GrpcClientSettings,
    TelemetrySettings,
)


class IdentitySettings(TokenIssuingSettings):
    """Clients and the tokens that they get."""

    clients_file: Path = Field(
        description="YAML file of clients, API keys and their hashed secrets; a change counts "
        "without a restart."
    )
    pepper_file: Path = Field(
        description="Key of the secrets' hashes: a line of hex, at least 32 bytes. While it is "
        "replaced, the new one in a first line and the old one in a second."
    )
    bootstrap_secret_file: Path | None = Field(
        default=None,
        description="One-time secret, 32 characters or more, for POST /v1/bootstrap, which makes "
        "the first administrator; without it that route is not there.",
    )
    trusted_issuers_file: Path | None = Field(
        default=None,
        description="YAML file of external issuers (OpenID Connect) whose tokens are taken, too, "
        "and for what; none without it. A change counts without a restart.",
    )


class QuotaSettings(TelemetrySettings):
    """Where quotas are counted, and what a client gets that states none."""

    quota_redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6380/0"),
        description="redis://, rediss:// or unix:// address of the quota Redis.",
    )
    quota_timeout: float = Field(
        default=0.02,
        gt=0,
        description="Longest wait for the quota Redis, seconds; then the local share counts.",
    )
    quota_retry_interval: float = Field(
        default=0.5, gt=0, description="Seconds between tries while the quota Redis is away."
    )
    quota_lease: float = Field(
        default=30.0,
        ge=1,
        description="Seconds after which the places under caps on requests at the same time come "
        "back that a killed gateway held.",
    )
    quota_per_minute: int = Field(
        default=60,
        gt=0,
        description="Default quota of an API key; of a client, where it uses access tokens.",
    )
    quota_per_hour: int = Field(default=1000, gt=0, description="The same for an hour.")
    replicas: int = Field(
        default=1,
        gt=0,
        description="Gateways side by side: each one's local share is a limit divided by this.",
    )


class CoalescingSettings(EnvironmentSettings):
    """How requests share calls to inference."""

    inference_calls: int = Field(
        default=4,
        gt=0,
        description="Calls in flight for one model before further requests wait to share the next "
        "one. Four for each replica of inference: with two they are as busy, but requests wait "
        "half a call longer. Full calls do not wait.",
    )
    inference_most_calls: int = Field(
        default=32, gt=0, description="Most shared calls in flight for one model."
    )
    inference_items_per_call: int = Field(
        default=16, gt=0, description="Most items of several requests in one call."
    )
    inference_items: int = Field(
        default=2048,
        gt=0,
        description="Most items that wait or are in flight, of all models; one tenant may have "
        "half of them. Requests beyond are refused with 503.",
    )


class Settings(
    HttpSettings,
    IdentitySettings,
    QuotaSettings,
    CoalescingSettings,
    EventSettings,
    GrpcClientSettings,
):
    """All that the gateway reads."""

    default_model: str = Field(default="sentiment", description="The model behind /predict.")
    model_cache_seconds: float = Field(
        default=30.0, gt=0, description="How long a model's description is remembered."
    )
    inference_target: str = Field(
        default="127.0.0.1:50051", description="gRPC target of the inference service."
    )
    prediction_log_target: str = Field(
        default="127.0.0.1:50052", description="gRPC target of the prediction log."
    )
    drift_target: str = Field(
        default="127.0.0.1:50053", description="gRPC target of the drift service."
    )
    health_timeout: float = Field(
        default=1.0, gt=0, description="Longest that a health check waits for a component, seconds."
    )
    health_cache_seconds: float = Field(
        default=0.5, ge=0, description="How long /health repeats what it last found."
    )
    audit_stream: str = Field(default="weir:audit", description="Stream of the audit events.")
    audit_queue: int = Field(
        default=10_000, gt=0, description="Audit events kept while the events Redis is away."
    )

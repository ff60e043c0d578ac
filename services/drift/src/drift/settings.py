"""Settings of the drift service."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from servicekit.settings import (
    EventSettings,
    GrpcServerSettings,
    TelemetrySettings,
    TokenSettings,
)

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Settings(GrpcServerSettings, TokenSettings, EventSettings, TelemetrySettings):
    """Read from WEIR_<FIELD>."""

    model_repository: Path = Field(
        default=Path("deploy/models"), description="Directory of model packages, by model name."
    )
    predictions_streams: tuple[str, ...] = Field(
        default=("weir:predictions:0",),
        min_length=1,
        description="Streams of PredictionRecorded, one for each partition; a JSON list.",
    )
    feedback_stream: str = Field(default="weir:feedback", description="Stream of FeedbackRecorded.")
    measurements_stream: str = Field(
        default="weir:measurements", description="Stream that DatasetMeasured is published to."
    )
    incidents_stream: str = Field(
        default="weir:incidents", description="Stream that DriftIncidentChanged is published to."
    )
    drift_window_rows: int = Field(
        default=1000,
        ge=10,
        le=1_000_000,
        description="Predictions that a model version's window has before it closes. A new value "
        "holds from the next window on.",
    )
    drift_window_seconds: float = Field(
        default=0,
        ge=0,
        le=31_536_000,
        description="Time that a window spans before it closes, from its earliest prediction to "
        "its latest: it closes when it has both, the predictions and the time. 0 for the "
        "predictions alone; a model with much traffic should have minutes, or its windows are "
        "too many to read.",
    )
    drift_minimum_rows: int = Field(
        default=30,
        ge=10,
        validate_default=True,
        description="Rows that a window and its reference each need before statistics are shown. "
        "The intervals rest on the normal approximation of means and shares, which 30 rows make "
        "fair; with fewer, two samples of the same thing often lie a KS distance of 0.25 apart.",
    )
    drift_false_discovery_rate: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Among the signals of a window that are called drift, the share that may be "
        "chance (Benjamini and Hochberg); without any drift, the share of windows that alarm.",
    )
    drift_smallest_number: float = Field(
        default=0.05,
        ge=0,
        description="Effect of a number below which nothing is called drift: Wasserstein distance "
        "in standard deviations of the reference.",
    )
    drift_smallest_ratio: float = Field(
        default=0.002, ge=0, le=1, description="The same for the difference of two ratios."
    )
    drift_smallest_category: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="The same for the total variation of categories: share of rows in others.",
    )
    drift_smallest_vector: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="The same for the projection: how much better than chance a classifier tells "
        "window from reference, from 0 to 1.",
    )
    drift_run_length: int = Field(
        default=100_000_000,
        ge=0,
        description="Rows of a signal without any break in which the detectors of sudden breaks "
        "give one false alarm, on average: at 200 predictions a second the default is six days. "
        "0 looks for none.",
    )
    drift_kept_versions: int = Field(
        default=100,
        ge=1,
        description="Model versions whose windows are kept; beyond them the one that was "
        "predicted with longest ago is forgotten. Also bounds the labels of the metrics.",
    )
    drift_kept_windows: int = Field(
        default=24,
        ge=0,
        le=1000,
        description="Closed windows of each model version that are kept for reports on them and "
        "for comparisons of times; some 250 KB each for a text model.",
    )
    drift_tenants: int = Field(
        default=8,
        ge=0,
        le=64,
        description="The busiest tenants of each model version that have windows, verdicts and "
        "incidents of their own beside those of all tenants, at most; 0 for none. A tenant that "
        "makes less than 2 % of the predictions, or more than 95 %, has none. Each costs some "
        "2 MB of the events Redis, and as much at each store as the windows of all tenants.",
    )
    drift_tenant_kept_windows: int = Field(
        default=6,
        ge=0,
        le=1000,
        description="Closed windows of each such tenant that are kept for reports and comparisons.",
    )
    drift_store_interval: float = Field(
        default=2.0,
        ge=0,
        le=10,
        description="Shortest time between two stores of a stream that is not behind, seconds: a "
        "trickle of predictions should not cost the events Redis a synced write each.",
    )

    drift_lease_seconds: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="Each stream is consumed by one replica at a time; when that one dies another "
        "takes over within four thirds of this.",
    )

    drift_webhook_url: str = Field(
        default="",
        description="Where incidents are posted to when they open, change and close; empty for "
        "nowhere. https, and no redirects are followed.",
    )
    drift_webhook_secret_file: Path | None = Field(
        default=None, description="File with the secret that notifications are signed with."
    )
    drift_webhook_insecure: bool = Field(
        default=False,
        validate_default=True,
        description="Lets the webhook be http where it is on this very machine.",
    )
    drift_webhook_give_up_seconds: float = Field(
        default=3600,
        gt=0,
        description="For how long after it happened a notification is tried that nobody takes.",
    )

    @field_validator("drift_webhook_insecure")
    @classmethod
    def _webhook_is_safe(cls, insecure: bool, others: ValidationInfo) -> bool:
        url = others.data.get("drift_webhook_url", "")
        parts = urlsplit(url)
        if not url or (parts.scheme == "https" and parts.hostname):
            return insecure
        if parts.scheme == "http" and insecure and parts.hostname in _LOOPBACK:
            return insecure
        raise ValueError("drift_webhook_url is not https, nor http on this machine with this set")

    @field_validator("drift_minimum_rows")
    @classmethod
    def _windows_can_be_measured(cls, minimum: int, others: ValidationInfo) -> int:
        if minimum > others.data.get("drift_window_rows", minimum):
            raise ValueError("is above drift_window_rows: no window would ever be measured")
        return minimum

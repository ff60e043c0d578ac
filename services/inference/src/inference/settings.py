"""Settings of the inference service."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from servicekit.settings import (
    EventSettings,
    GrpcServerSettings,
    TelemetrySettings,
    TokenSettings,
)


class Settings(GrpcServerSettings, TokenSettings, EventSettings, TelemetrySettings):
    """Read from WEIR_<FIELD>."""

    model_repository: Path = Field(
        default=Path("deploy/models"), description="Directory of model packages, by model name."
    )
    model_poll_interval: float = Field(
        default=5.0,
        ge=0,
        description="Seconds between two looks for changes in the model repository; 0 for never.",
    )
    model_control: Literal["none", "explicit"] = Field(
        default="none",
        description="Whether callers with the scope models:manage may load and unload models by "
        "hand (explicit), beside what routing.yaml says, or are refused (none).",
    )
    max_waiting_shadows: int = Field(
        default=256,
        ge=1,
        description="Inputs that may wait for shadow versions; more are not shadowed.",
    )
    model_threads: int | None = Field(
        default=None,
        ge=1,
        description="Batches that run at the same time, one thread each; the CPU limit by default.",
    )
    max_items_per_call: int = Field(default=256, ge=1, description="Items that one call may carry.")
    max_waiting_items: int = Field(
        default=2048,
        ge=1,
        description="Items that may wait at once; a tenant that has less than its equal share of "
        "them waiting is taken beyond it.",
    )
    max_waiting_seconds: float = Field(
        default=0.4,
        gt=0,
        description="Predicted wait beyond which new requests are refused, once more items wait "
        "than one call may carry. What bounds the latency of what is taken under overload.",
    )
    answer_cache_items: int = Field(
        default=0,
        ge=0,
        description="Answers that are kept for inputs that come again, about 1 KiB each; 0 keeps "
        "none. What is answered from it is recorded like any prediction, and marked as cached.",
    )
    when_unlogged: Literal["block", "serve_unlogged"] = Field(
        default="block",
        description="What happens while the event stream takes no records: refuse predictions, or "
        "answer and mark them as unlogged.",
    )
    input_sealing_key_file: Path | None = Field(
        default=None,
        description="X25519 public key of the prediction log, PEM: seals what only the log may "
        "read. Without it predictions whose tenant keeps texts, or that state a subject, are "
        "refused.",
    )
    predictions_stream: str = Field(
        default="weir:predictions:0", description="Stream of PredictionRecorded."
    )
    deployments_stream: str = Field(
        default="weir:deployments", description="Stream of ModelDeployed."
    )

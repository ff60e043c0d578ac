"""Statistics of the log of predictions: value types that are answers, too."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

_MS = "In the model, milliseconds; "
_EXACT = "exact for up to 10 000 predictions and for filters by other fields than model, version, "
_OFF = "at most 3.5 % off from 0.05 ms to 60 s."


class PredictionStats(BaseModel):
    """Counts and quantiles of the predictions that match."""

    predictions: int
    labels: dict[str, int] = Field(description="Predictions by label.")
    mean_confidence: float | None
    inference_ms_p50: float | None = Field(
        description=f"{_MS}{_EXACT}shadow and time; else from histograms, {_OFF}"
    )
    inference_ms_p95: float | None
    inference_ms_p99: float | None
    labelled: int = Field(description="Predictions that have feedback with a correct label.")
    accuracy: float | None = Field(description="Share of those that were right.")


class StatsBucket(BaseModel):
    """An hour or a day, of all models and versions together or of one."""

    start: datetime = Field(description="UTC.")
    model: str | None = Field(description="null where models or versions are taken together.")
    model_version: str | None
    predictions: int
    labels: dict[str, int] = Field(description="Predictions by label.")
    mean_confidence: float | None
    confidence_p05: float | None = Field(description="At most 0.005 off, as is the median.")
    confidence_p50: float | None
    inference_ms_p50: float | None = Field(description=f"{_MS}from a histogram, {_OFF}")
    inference_ms_p95: float | None
    inference_ms_p99: float | None
    labelled: int = Field(description="Predictions that have feedback with a correct label.")
    correct: int = Field(description="Of those.")
    accuracy: float | None = Field(description="Share of the labelled that were right.")


class StatsSeries(BaseModel):
    """Statistics by hour or day, oldest first; a bucket without predictions is left out."""

    bucket: Literal["hour", "day"]
    buckets: list[StatsBucket]

"""The bodies of answers: what the API's description promises."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11"
_PROBABILITIES = {"negative": 0.02, "positive": 0.98}


class ModelPrediction(BaseModel):
    """What a model said about one text."""

    prediction_id: str = Field(examples=[_ID])
    label: str = Field(examples=["positive"])
    confidence: float = Field(examples=[0.98], description="The probability of the label.")
    probabilities: dict[str, float] = Field(
        default={}, examples=[_PROBABILITIES], description="By label; only when asked for."
    )
    model: str = Field(examples=["sentiment"])
    model_version: str = Field(examples=["1"])
    inference_ms: float = Field(examples=[3.1], description="Time spent in the model.")
    unlogged: bool = Field(
        default=False,
        description="There, and true, only when the log was away and inference served anyway.",
    )


class SentimentPrediction(BaseModel):
    """What the default model said about one text."""

    prediction_id: str = Field(examples=[_ID])
    predicted_sentiment: str = Field(examples=["positive"])
    confidence: float = Field(examples=[0.98], description="The probability of the sentiment.")
    probabilities: dict[str, float] = Field(
        default={}, examples=[_PROBABILITIES], description="By label; only when asked for."
    )
    model: str = Field(examples=["sentiment"])
    model_version: str = Field(examples=["1"])
    inference_ms: float = Field(examples=[3.1], description="Time spent in the model.")
    unlogged: bool = Field(
        default=False,
        description="There, and true, only when the log was away and inference served anyway.",
    )


class ModelPredictions(BaseModel):
    """In the order of the texts."""

    predictions: list[ModelPrediction]


class SentimentPredictions(BaseModel):
    """In the order of the texts."""

    predictions: list[SentimentPrediction]


class ServedVersion(BaseModel):
    """A version that is loaded, or should be."""

    version: str
    traffic_percent: int
    loaded_at: datetime | None = Field(description="null while it is not loaded.")
    state: Literal["loading", "ready", "unavailable"] = Field(examples=["ready"])
    shadow: bool = Field(
        description="It sees what the others answered and is logged as shadow; callers never see "
        "its answers."
    )
    reason: str = Field(
        examples=[""], description="Why it is unavailable, or what is odd about it; mostly empty."
    )


class ServedModel(BaseModel):
    """A model that answers, or should."""

    name: str = Field(examples=["sentiment"])
    task: str = Field(
        examples=["text-classification"], description="Empty while no version is loaded."
    )
    labels: list[str] = Field(examples=[["negative", "positive"]])
    versions: list[ServedVersion]
    max_characters: int = Field(description="Longest text; 0 when it takes none.")
    max_tokens: int = Field(description="Tokens after which a text is cut.")


class ServedModels(BaseModel):
    """By name."""

    models: list[ServedModel]


class FieldFault(BaseModel):
    """A field that cannot be taken."""

    field: str = Field(examples=["texts[3]"])
    message: str = Field(examples=["is blank"])


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["A text cannot be predicted."])
    instance: str = Field(examples=["/predict"])
    code: str = Field(examples=["INVALID_INPUT"], description="Stable; tells problems apart.")
    request_id: str
    trace_id: str
    errors: list[FieldFault] = Field(default=[], description="The fields that are wrong.")
    violated_policies: list[str] = Field(
        default=[],
        alias="violated-policies",
        description="The quotas that the request does not fit, as RateLimit-Policy names them.",
    )

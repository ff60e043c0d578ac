"""What the log of predictions tells: value types that are answers, too."""

from datetime import datetime

from pydantic import BaseModel, Field


class GivenFeedback(BaseModel):
    """Feedback on a prediction."""

    feedback_id: str
    given_at: datetime
    client_id: str
    correct_label: str | None = Field(description="null when only a score or comment was given.")
    score: float | None
    comment: str | None


class LoggedPrediction(BaseModel):
    """A prediction as the log keeps it."""

    prediction_id: str
    predicted_at: datetime
    model: str
    model_version: str
    client_id: str
    delegate_id: str | None = Field(description="Who called on the client's behalf.")
    request_id: str
    input_sha256: str = Field(description="SHA-256 of the text's UTF-8 bytes, hex.")
    input_characters: int
    input_tokens: int
    label: str
    confidence: float
    probabilities: dict[str, float]
    inference_ms: float
    shadow: bool = Field(
        description="Answered by a version that takes no traffic; the caller never saw it."
    )
    feedback: GivenFeedback | None = Field(description="The latest.")
    input_keeping: str = Field(
        examples=["nothing", "encrypted", "plain"],
        description="What was to be kept of the text when it was predicted.",
    )
    erased: bool = Field(
        description="The person whom the text was about was erased; what was private is gone."
    )


class LoggedPredictionWithText(LoggedPrediction):
    """One prediction, with its text where that was asked for, is kept and was not erased."""

    input_text: str | None


class LoggedPredictions(BaseModel):
    """A page, newest first."""

    predictions: list[LoggedPrediction]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class FeedbackHistory(BaseModel):
    """A page of the feedback on one prediction, newest first."""

    feedback: list[GivenFeedback]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class FeedbackTaken(BaseModel):
    """The feedback was taken; the log shows it soon."""

    feedback_id: str

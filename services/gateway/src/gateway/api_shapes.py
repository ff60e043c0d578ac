"""The bodies of requests, checked for shape; what a text may hold is in `text_rules`."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.text_rules import fault_of, is_clean

_SENTENCE = "What a wonderful film."


def _is_text(text: str) -> str:
    fault = fault_of(text)
    if fault:
        raise ValueError(fault)
    return text


def _is_clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("holds a NUL character or broken Unicode")
    return text


PlainText = Annotated[str, AfterValidator(_is_text)]


class RequestBody(BaseModel):
    """Takes nothing that it does not know and turns nothing into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PredictBody(RequestBody):
    """One text to predict."""

    text: str = Field(examples=[_SENTENCE], description="What the model is to judge.")
    return_probabilities: bool = Field(
        default=False, description="Whether the answer lists every label's probability."
    )


class PredictBatchBody(RequestBody):
    """Texts to predict; either all of them are, or none."""

    texts: list[str] = Field(
        min_length=1, examples=[[_SENTENCE, "I want my money back."]], description="In any order."
    )
    return_probabilities: bool = Field(
        default=False, description="Whether the answers list every label's probability."
    )


class FeedbackBody(RequestBody):
    """What a prediction should have been."""

    correct_label: PlainText = Field(
        max_length=128, examples=["negative"], description="One of the model's labels."
    )
    score: float | None = Field(
        default=None, ge=0, le=1, examples=[0.2], description="How useful the answer was, 0 to 1."
    )
    comment: Annotated[str, AfterValidator(_is_clean)] | None = Field(
        default=None, max_length=2000, description="For whoever reads the log."
    )

"""The bodies of requests, checked for shape; what a text may hold is in `text_rules`."""

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from gateway.text_rules import fault_of, is_clean

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ABOUT = (
    "your own name for the person whom the text is about, up to 256 characters, so that they can "
    "be erased from the log; kept as a pseudonym only."
)
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


def _is_name(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("holds a control character")
    return text


def _is_written(moment: object) -> object:
    """Times are texts in JSON: a number may be seconds or milliseconds."""
    if not isinstance(moment, str):
        raise ValueError("is no text")
    return moment


PlainText = Annotated[str, AfterValidator(_is_text)]


Subject = Annotated[
    str, Field(min_length=1, max_length=256), AfterValidator(_is_text), AfterValidator(_is_name)
]


class RequestBody(BaseModel):
    """Takes nothing that it does not know and turns nothing into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PredictBody(RequestBody):
    """One text to predict."""

    text: str = Field(examples=[_SENTENCE], description="What the model is to judge.")
    return_probabilities: bool = Field(
        default=False, description="Whether the answer lists every label's probability."
    )
    subject: Subject | None = Field(
        default=None, examples=["customer-4711"], description=_ABOUT.capitalize()
    )


class PredictBatchBody(RequestBody):
    """Texts to predict; either all of them are, or none."""

    texts: list[str] = Field(
        min_length=1, examples=[[_SENTENCE, "I want my money back."]], description="In any order."
    )
    return_probabilities: bool = Field(
        default=False, description="Whether the answers list every label's probability."
    )
    subjects: list[Subject | None] | None = Field(
        default=None,
        examples=[["customer-4711", None]],
        description=f"As many as texts, null for those about nobody: {_ABOUT}",
    )


class ErasureBody(RequestBody):
    """Whom to erase."""

    subject: Subject = Field(
        examples=["customer-4711"], description="The name that the predictions were made with."
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


class SilenceBody(RequestBody):
    """Until when nobody is to be notified."""

    until: Annotated[AwareDatetime, BeforeValidator(_is_written)] = Field(
        strict=False, examples=["2026-12-01T06:00:00Z"], description="With a zone."
    )

"""The bodies of requests that change references, checked for shape."""

from pydantic import ConfigDict, Field

from gateway.api_shapes import PlainText, RequestBody
from gateway.drift_shapes import Moment

_LONGEST_REASON = 500


class PromotionBody(RequestBody):
    """Which windows become a reference, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: PlainText = Field(min_length=1, max_length=128, examples=["2"])
    start: Moment = Field(
        alias="from",
        examples=["2026-11-01T00:00:00Z"],
        description="The first moment of the range; the closed windows that began in it are taken.",
    )
    until: Moment = Field(
        examples=["2026-11-08T00:00:00Z"], description="The first moment after the range."
    )
    reason: PlainText = Field(
        min_length=1,
        max_length=_LONGEST_REASON,
        examples=["Customers write from the app now."],
        description="For those who ask later.",
    )
    accept_drift: bool = Field(
        default=False,
        description="Whether incidents may lie in the range: their drift is what is usual from "
        "then on.",
    )


class ActivationBody(RequestBody):
    """Of which version, and why."""

    version: PlainText = Field(min_length=1, max_length=128, examples=["2"])
    reason: PlainText = Field(
        min_length=1,
        max_length=_LONGEST_REASON,
        examples=["The app was rolled back."],
        description="For those who ask later.",
    )

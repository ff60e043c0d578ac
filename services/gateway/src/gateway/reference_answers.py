"""What models are compared with: value types that are answers, too."""

from datetime import datetime

from pydantic import BaseModel, Field


class KeptReference(BaseModel):
    """The reference of a model version's package, or one that was promoted."""

    reference_id: str = Field(
        description="`package` for the package's own.",
        examples=["0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a44"],
    )
    model: str = Field(examples=["sentiment"])
    model_version: str = Field(examples=["2"])
    source: str = Field(
        description="Where its rows came from.",
        examples=["24 windows of 2026-11-01 00:00:03 – 2026-11-07 23:58:41 UTC"],
    )
    rows: int = Field(examples=[24000])
    windows: int | None = Field(
        description="Closed windows that it was made of; null for the package's own.",
        examples=[24],
    )
    first_predicted_at: datetime | None = Field(description="Of the predictions in them.")
    last_predicted_at: datetime | None
    promoted_at: datetime | None
    promoted_by: str | None = Field(examples=["data-science"])
    reason: str | None = Field(examples=["Customers write from the app now."])
    accepted_drift: bool = Field(
        description="Whether an incident lay in its range, and the caller accepted its drift as "
        "what is usual."
    )
    in_force: bool = Field(description="Whether windows are compared with it now.")
    in_force_since: datetime | None = Field(
        description="Of the one in force, where a call put it there."
    )
    in_force_by: str | None = Field(examples=["data-science"])
    in_force_reason: str | None = Field(examples=["Customers write from the app now."])


class KeptReferences(BaseModel):
    """The promoted references of a model version, newest first, and its package's own."""

    model: str
    model_version: str
    references: list[KeptReference]

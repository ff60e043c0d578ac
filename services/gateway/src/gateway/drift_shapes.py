"""The bodies of requests to drift, checked for shape."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from gateway.api_shapes import PlainText, RequestBody

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _in_utc(moment: datetime) -> datetime:
    # At the ends of the calendar a time of another zone has none in UTC.
    if moment - _EARLIEST < timedelta(0) or moment.year > 9998:
        raise ValueError("lies outside of the years 1970 to 9998")
    return moment.astimezone(UTC)


# Times are texts in JSON.
Moment = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_utc)]


class TimeRangeBody(RequestBody):
    """A range of time; the windows that began in it are meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: Moment = Field(
        alias="from", examples=["2026-11-01T00:00:00Z"], description="The first moment in it."
    )
    end: Moment = Field(
        alias="to",
        examples=["2026-11-08T00:00:00Z"],
        description="The first moment after it.",
    )

    def moments(self) -> tuple[datetime, datetime]:
        """Both ends."""
        return self.start, self.end


class ComparisonBody(RequestBody):
    """What is compared with what."""

    version: PlainText | None = Field(
        default=None,
        max_length=128,
        examples=["2"],
        description="The one predicted with last, when absent.",
    )
    reference: TimeRangeBody = Field(description="Takes the place of the package's reference.")
    window: TimeRangeBody = Field(
        description="What is judged.",
        examples=[{"from": "2026-11-08T00:00:00Z", "to": "2026-11-09T00:00:00Z"}],
    )

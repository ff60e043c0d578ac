"""Quotas as the clients file and the admin API state them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.domain import ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject, WhenAway

MOST_QUOTAS = 16
"""Of one client, key or tenant: each is one more counter for every request."""


class QuotaEntry(BaseModel):
    """At most so much within any window; whom it counts is where it stands."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(gt=0, le=1_000_000_000, examples=[600])
    window_seconds: int = Field(gt=0, le=31 * 86_400, examples=[60])
    cost: CostUnit = Field(
        default=CostUnit.ITEMS,
        description="What is counted: items (texts, rows) or tokens, as the model is given them.",
    )
    per: Literal["key"] | None = Field(
        default=None,
        description="`key`, in a client's quotas: each of its API keys may have as much.",
    )
    when_away: WhenAway = Field(
        default=WhenAway.SHARE,
        description="While quotas cannot be counted together: each gateway's share, open or "
        "closed.",
    )


class ConcurrencyEntry(BaseModel):
    """At most so many requests at the same time."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(gt=0, le=100_000, examples=[16])
    when_away: WhenAway = WhenAway.SHARE


class QuotaFields(BaseModel):
    """The quotas of a client, a key or a tenant: a part of their entries."""

    quotas: list[QuotaEntry] = Field(
        default=[],
        max_length=MOST_QUOTAS,
        description="Every one of them holds; a client that states none has the defaults.",
    )
    concurrency: ConcurrencyEntry | None = None

    @field_validator("quotas")
    @classmethod
    def _one_per_window(cls, quotas: list[QuotaEntry]) -> list[QuotaEntry]:
        if len({(each.window_seconds, each.cost, each.per) for each in quotas}) < len(quotas):
            raise ValueError("two quotas have the same window_seconds")
        return quotas

    def policies(self, subject: QuotaSubject) -> tuple[QuotaPolicy, ...]:
        """The policies, where the entry is the subject's."""
        return tuple(
            QuotaPolicy(
                each.limit,
                each.window_seconds,
                QuotaSubject(each.per) if each.per else subject,
                each.cost,
                each.when_away,
            )
            for each in self.quotas
        )

    def caps(self, subject: QuotaSubject) -> tuple[ConcurrencyCap, ...]:
        """The cap, if there is one, where the entry is the subject's."""
        if self.concurrency is None:
            return ()
        return (ConcurrencyCap(self.concurrency.limit, subject, self.concurrency.when_away),)


def default_quotas(per_minute: int, per_hour: int) -> tuple[QuotaPolicy, ...]:
    """What each key has when nothing is stated for it or its client."""
    return (
        QuotaPolicy(per_minute, 60, QuotaSubject.KEY),
        QuotaPolicy(per_hour, 3600, QuotaSubject.KEY),
    )


def quota_entries(quotas: Sequence[QuotaPolicy]) -> list[QuotaEntry]:
    """Policies as they are stated, for who lists them; whom they count stays behind."""
    return [
        QuotaEntry(
            limit=each.limit,
            window_seconds=each.window,
            cost=each.cost,
            per="key" if each.subject is QuotaSubject.KEY else None,
            when_away=each.when_away,
        )
        for each in quotas
    ]

"""Events of a stream as facts, each with the entry that it came in."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from drift.domain import FeedbackFacts, ModelVersion, PredictionFacts
from drift.event_converters import EventInvalid
from servicekit.event_stream import Event, entry_order

FactT = TypeVar("FactT", PredictionFacts, FeedbackFacts)
Facts = Sequence[tuple[str, FactT]]
"""Each with the entry that it came in."""


def read_facts(
    events: Sequence[Event], convert: Callable[[Event], FactT | None]
) -> tuple[list[tuple[str, FactT]], Counter[str]]:
    """What the events tell, and why how many of them make no sense."""
    facts: list[tuple[str, FactT]] = []
    skipped: Counter[str] = Counter()
    for event in events:
        try:
            fact = convert(event)
        except EventInvalid as error:
            skipped[str(error)] += 1
            continue
        if fact is not None:
            facts.append((event.entry_id, fact))
    return facts, skipped


def by_version(facts: Facts[FactT]) -> dict[ModelVersion, list[tuple[str, FactT]]]:
    """Those of each model version, in order."""
    found: dict[ModelVersion, list[tuple[str, FactT]]] = {}
    for entry_id, fact in facts:
        found.setdefault(fact.about, []).append((entry_id, fact))
    return found


def appended_at(entry_id: str) -> datetime:
    """When Redis took an entry."""
    return datetime.fromtimestamp(entry_order(entry_id)[0] / 1000, UTC)

"""Rows by category in bounded memory: exact while there are few categories, lower bounds after."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OTHER = "(other)"
MOST_CATEGORIES = 256


@dataclass(slots=True)
class CategoryCounts:
    """Counts of the frequent categories, and rows of which the category was given up.

    A category that makes up more than 1/256 of the rows is always among them, whenever it came
    first; its count is at most `other` too low. Two may be merged in any order.
    Sources: Misra and Gries, "Finding repeated elements", 1982; Agarwal et al., "Mergeable
    summaries", 2012.
    """

    counts: dict[str, int] = field(default_factory=dict)
    other: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.counts.values()) + self.other

    def by_category(self) -> dict[str, int]:
        """The counts, with one entry for what was given up, if anything was."""
        return {**self.counts, OTHER: self.other} if self.other else dict(self.counts)

    def add(self, counts: Mapping[str, int]) -> None:
        """Takes counted rows."""
        for category, rows in counts.items():
            self.counts[category] = self.counts.get(category, 0) + rows
        self._give_up_rare()

    def update(self, categories: Iterable[str]) -> None:
        """Takes one row for each."""
        self.add(Counter(categories))

    def merge(self, other: "CategoryCounts") -> None:
        """Takes the rows of another."""
        self.other += other.other
        self.add(other.counts)

    def _give_up_rare(self) -> None:
        if len(self.counts) <= MOST_CATEGORIES:
            return
        # What the largest that does not fit has is taken from all: so no order of arrival matters.
        cut = sorted(self.counts.values(), reverse=True)[MOST_CATEGORIES]
        before = sum(self.counts.values())
        self.counts = {name: rows - cut for name, rows in self.counts.items() if rows > cut}
        self.other += before - sum(self.counts.values())

"""Which tenants of a model version have windows of their own. Knows neither clock nor store.

Predictions are counted by tenant as they come, in a table that is bounded however many tenants
there are. Each time that a window of all tenants closes, the busiest are chosen and the counts are
halved, so that they fade. So the choice depends on the order of the predictions alone: not on how
they came in batches, and not on who was stopped between two of them.

A tenant that has windows keeps them until they are wanted for one that is twice as busy: a window
that is given up half full is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

COUNTED = 256
"""Tenants that are counted at a time."""
LEAST_SHARE = 0.02
"""With less, fifty windows of all tenants would close before one of its own."""
MOST_SHARE = 0.95
"""With more, its own windows would say what those of all tenants say."""
LONGEST_NAME = 128
_DISPLACES = 2


@dataclass(slots=True)
class BusyTenants:
    """The counts, and who was chosen.

    A count is never too high, and too low by at most one of `COUNTED` predictions, so made-up
    tenants push nobody out who sends more than that.
    Source: Misra and Gries, "Finding repeated elements", 1982.
    """

    counts: dict[str, int] = field(default_factory=dict)
    total: int = 0
    """Predictions of all tenants, counted or not."""
    watched: tuple[str, ...] = ()
    """Those that have windows of their own, by name."""

    def count(self, tenants: Iterable[str]) -> None:
        """Counts one prediction for each; those of nobody, or of overlong names, in the total."""
        counts = self.counts
        for tenant in tenants:
            self.total += 1
            if tenant in counts:
                counts[tenant] += 1
            elif not 0 < len(tenant) <= LONGEST_NAME:
                continue
            elif len(counts) < COUNTED:
                counts[tenant] = 1
            else:
                # Costs as much as this many additions, and undoes as many: one each on average.
                counts = self.counts = {t: n - 1 for t, n in counts.items() if n > 1}

    def choose(self, most: int) -> list[str]:
        """Chooses `most` at most, and lets the counts fade; returns who had windows and loses them.

        With 0 nobody has.
        """
        before = self.watched
        chosen = sorted(before, key=self._rank)[:most]
        for tenant in sorted(self.counts, key=self._rank) if most else ():
            if tenant in chosen or not self._has_volume(tenant):
                continue
            if len(chosen) == most:
                quietest = max(chosen, key=self._rank)
                if self.counts[tenant] < _DISPLACES * self.counts.get(quietest, 0):
                    break
                chosen.remove(quietest)
            chosen.append(tenant)
        self.watched = tuple(sorted(chosen))
        self.counts = {tenant: count // 2 for tenant, count in self.counts.items() if count > 1}
        self.total //= 2
        return [tenant for tenant in before if tenant not in chosen]

    def _has_volume(self, tenant: str) -> bool:
        return LEAST_SHARE * self.total <= self.counts[tenant] <= MOST_SHARE * self.total

    def _rank(self, tenant: str) -> tuple[int, str]:
        """The busiest first."""
        return -self.counts.get(tenant, 0), tenant

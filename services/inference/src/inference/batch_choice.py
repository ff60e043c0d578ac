"""How many of the waiting items run together."""

from collections.abc import Callable, Iterable

from inference.runnable import Batching
from inference.waiting import Job

_WORTH_IT = 0.97
"""Share of the time that its items take one by one which a batch may take at most: less is not
worth the first item's waiting for the last, nor told from noise."""
_NEARLY = 1.02
"""Times the smallest share: so little more is well spent on a batch that is done sooner."""
_MOST_TOKENS = 512
"""Padded, whatever the model allows: beside so many, what a run costs by itself is next to nothing,
and the runtime keeps the memory of the largest batch that each thread ever ran."""


def companions(
    lead: Job,
    similar: Iterable[Job],
    batching: Batching,
    seconds: Callable[[int, int], float],
    most: int,
) -> list[Job]:
    """Those that run with the lead: as few as make an item nearly as cheap as any number would.

    Args:
        similar: others of the same model, the most similar first.
        seconds: predicted for a number of items and the size of the largest.
        most: items that a batch may have beside the model's own limit.
    """
    most = min(most, batching.max_items)
    tokens = min(_MOST_TOKENS, batching.max_padded_tokens)
    if not batching.independent or most < 2:
        return []
    others: list[Job] = []
    shares: list[float] = []
    longest, alone = lead.size, seconds(1, lead.size)
    for job in similar:
        longest = max(longest, job.size)
        items = len(others) + 2
        if items > most or items * longest > tokens:
            break
        others.append(job)
        # Not what it was predicted when it came: the machine's pace may have changed.
        alone += seconds(1, job.size)
        shares.append(seconds(items, longest) / alone)
    cheapest = min(shares, default=1.0)
    if cheapest >= _WORTH_IT:
        return []
    return others[: next(at for at, share in enumerate(shares, 1) if share <= cheapest * _NEARLY)]

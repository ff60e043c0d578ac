"""How many of the waiting items run together."""

from collections.abc import Callable, Iterable

from inference.runnable import Batching
from inference.waiting import Job

_WORTH_IT = 0.97
"""Share of the time that its items take one by one which a batch may take at most: less is not
worth the first item's waiting for the last, nor told from noise."""


def companions(
    lead: Job,
    similar: Iterable[Job],
    batching: Batching,
    seconds: Callable[[int, int], float],
    most: int,
) -> list[Job]:
    """Those that run with the lead: as many as make an item cheapest, by the model's latency.

    Args:
        similar: others of the same model, the most similar first.
        seconds: predicted for a number of items and the size of the largest.
        most: items that a batch may have beside the model's own limit.
    """
    most = min(most, batching.max_items)
    if not batching.independent or most < 2:
        return []
    others: list[Job] = []
    best, cheapest = 0, _WORTH_IT
    longest, alone = lead.size, seconds(1, lead.size)
    for job in similar:
        longest = max(longest, job.size)
        items = len(others) + 2
        if items > most or items * longest > batching.max_padded_tokens:
            break
        others.append(job)
        # Not what it was predicted when it came: the machine's pace may have changed.
        alone += seconds(1, job.size)
        share = seconds(items, longest) / alone
        if share < cheapest:
            best, cheapest = len(others), share
    return others[:best]

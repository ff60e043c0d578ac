"""Measures a model before it serves."""

from collections.abc import Callable

from inference.latency_model import Cell, LatencyModel
from inference.runnable import RunnableModel

_SMALLEST = 8
_BATCHES = (2, 4, 8, 16, 32)
_RUNS = 2
"""Of each point, the faster counts: the first one of a shape also pays for its memory."""


def measure(model: RunnableModel, clock: Callable[[], float], budget: float = 0.25) -> LatencyModel:
    """Runs made inputs of several sizes, one at a time and then, if it takes them, together.

    Points that would go over the budget are left out; a model too slow for it is known by its
    smallest input alone, until it has run.

    Args:
        clock: seconds.
        budget: seconds that all runs together may take.
    """
    ends = clock() + budget
    measured: dict[Cell, float] = {}
    sizes = _sizes(model.max_size)
    for size in sizes:
        guess = measured[max(measured)] * size / max(measured)[1] if measured else 0.0
        if clock() + _RUNS * guess < ends:
            measured[1, size] = _fastest(model, clock, 1, size)
    if model.batching.independent:
        for items in (each for each in _BATCHES if each <= model.batching.max_items):
            for size in sizes:
                if items * size > model.batching.max_padded_tokens or (1, size) not in measured:
                    break
                if clock() + _RUNS * items * measured[1, size] > ends:
                    break
                measured[items, size] = _fastest(model, clock, items, size)
    return LatencyModel(measured)


def _sizes(largest: int) -> list[int]:
    sizes = []
    size = min(_SMALLEST, largest)
    while size < largest:
        sizes.append(size)
        size *= 2
    return [*sizes, largest]


def _fastest(model: RunnableModel, clock: Callable[[], float], items: int, size: int) -> float:
    batch = [model.sample(size)] * items
    seconds = []
    for _ in range(_RUNS):
        started = clock()
        model.run(batch)
        seconds.append(clock() - started)
    return max(min(seconds), 1e-6)

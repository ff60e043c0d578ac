"""Measures a model before it serves."""

from collections.abc import Callable

from inference.latency_model import LatencyModel, Shape
from inference.runnable import Batching, RunnableModel

_SMALLEST = 8
_BATCHES = (4, 16, 64)
_STEP = 4
"""From one size to the next: the parts of a run differ most where shapes do."""
_RUNS = 2
"""Of each shape, the faster counts: the first one also pays for its memory."""
_LONG = 0.03
"""Seconds of a run that what only the first one pays for does not change much."""


def measure(model: RunnableModel, clock: Callable[[], float], budget: float = 0.25) -> LatencyModel:
    """Runs made inputs of several sizes, alone and, if the model takes them, together.

    Small points come first; those that would go over the budget are left out. So a machine that is
    busy when it starts still learns what batches of short inputs gain.

    Args:
        clock: seconds.
        budget: seconds that all runs together may take.
    """
    ends = clock() + budget
    measured: dict[Shape, float] = {}
    per_unit = 0.0
    for items, size in _points(model.max_size, model.batching):
        if clock() + _RUNS * per_unit * items * size > ends:
            break
        measured[items, size] = _fastest(model, clock, items, size)
        per_unit = measured[items, size] / (items * size)
    return LatencyModel(measured)


def _points(largest: int, batching: Batching) -> list[Shape]:
    together = (1, *_BATCHES) if batching.independent else (1,)
    return sorted(
        (
            (items, size)
            for items in together
            for size in _sizes(largest)
            if items <= batching.max_items and (items == 1 or _fits(items, size, batching))
        ),
        key=lambda cell: (cell[0] * cell[1], cell[0]),
    )


def _fits(items: int, size: int, batching: Batching) -> bool:
    return items * size <= batching.max_padded_tokens


def _sizes(largest: int) -> list[int]:
    sizes = []
    size = min(_SMALLEST, largest)
    while size < largest:
        sizes.append(size)
        size *= _STEP
    return [*sizes, largest]


def _fastest(model: RunnableModel, clock: Callable[[], float], items: int, size: int) -> float:
    batch = [model.sample(size)] * items
    seconds: list[float] = []
    while len(seconds) < _RUNS:
        started = clock()
        model.run(batch)
        seconds.append(clock() - started)
        if seconds[-1] > _LONG:
            break
    return max(min(seconds), 1e-6)

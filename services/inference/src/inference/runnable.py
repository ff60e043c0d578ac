"""What the scheduler asks of a loaded model, whatever its task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inference.domain import Item, Rejection, Scored


@dataclass(frozen=True, slots=True)
class Batching:
    """What may run together."""

    independent: bool
    """Whether an answer is the same whatever it is computed with. If not, items run alone."""
    max_items: int
    max_padded_tokens: int
    """Items times the size of the largest."""


class Prepared(Protocol):
    """An item as the model takes it; made off the event loop."""

    @property
    def size(self) -> int:
        """What it costs and pads by: tokens of a text, special ones included; else 1."""
        ...


class RunnableModel(Protocol):
    """A model of any task, told from others by identity. Several threads may call it at once."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def version(self) -> str:
        """Of the package."""
        ...

    @property
    def batching(self) -> Batching:
        """What may run together."""
        ...

    @property
    def max_size(self) -> int:
        """The largest size that an item can have."""
        ...

    @property
    def max_waiting_items(self) -> int | None:
        """Items that may wait for it at once; None for the service's own limit."""
        ...

    def prepare(self, item: Item) -> Prepared | Rejection:
        """Checks and encodes one item; needs no model run."""
        ...

    def sample(self, size: int) -> Prepared:
        """A made input of that size, at most `max_size`, to measure runs with."""
        ...

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        """One answer per item of a batch that keeps to `batching`, on the calling thread.

        Raises:
            Exception: whatever went wrong; nothing of the batch is answered.
        """
        ...

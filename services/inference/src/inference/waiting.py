"""What waits, and what of it is next."""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from inference.domain import Item
from inference.fair_order import FairOrder
from inference.runnable import Prepared, RunnableModel

_Line = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Job:
    """An item on its way through a model."""

    item: Item = field(repr=False)
    model: RunnableModel
    call: Hashable
    """What its answer goes back to."""
    place: int
    """In the call."""
    arrived: float
    size: int
    """Guessed until it is prepared."""
    seconds: float
    """What it is predicted to take alone."""
    background: bool = False
    """Nobody waits for the answer: runs when nothing else does."""
    prepared: Prepared | None = field(default=None, repr=False)
    gone: bool = False
    """It was dropped: nobody waits for it any more."""
    runs: bool = False
    """It was handed to a thread, or is done."""

    @property
    def tenant(self) -> str:
        """Whose share it comes out of."""
        return self.item.caller.tenant

    @property
    def line(self) -> _Line:
        """What it waits behind others of: the items of one request to one model."""
        return (self.model.name, self.model.version, self.item.request_id)


_Jobs = OrderedDict[Job, None]


class _Lines:
    """One tenant's jobs: fair between its requests, first come first served within each."""

    def __init__(self) -> None:
        self.order: FairOrder[_Line] = FairOrder()
        self.jobs: dict[_Line, _Jobs] = {}
        self.by_age: _Jobs = OrderedDict()


class WaitingQueue:
    """Jobs by tenant, request, age and size; every step costs about the same however many wait.

    Args:
        longest_wait: seconds after which a tenant's oldest job goes before its others, whatever
            else it asked for in the meantime.
    """

    def __init__(self, longest_wait: float) -> None:
        self._longest_wait = longest_wait
        self._tenants: FairOrder[str] = FairOrder()
        self._lines: dict[str, _Lines] = {}
        self._by_size: dict[RunnableModel, dict[int, _Jobs]] = {}
        self._sizes: dict[RunnableModel, list[int]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, job: Job) -> None:
        """It waits from now on."""
        self._tenants.join(job.tenant)
        lines = self._lines.setdefault(job.tenant, _Lines())
        lines.order.join(job.line)
        lines.jobs.setdefault(job.line, OrderedDict())[job] = None
        lines.by_age[job] = None
        sizes = self._by_size.setdefault(job.model, {})
        if job.size not in sizes:
            sizes[job.size] = OrderedDict()
            insort(self._sizes.setdefault(job.model, []), job.size)
        sizes[job.size][job] = None
        self._length += 1

    def lead(self, now: float) -> Job | None:
        """The job whose turn it is."""
        if not self._length:
            return None
        lines = self._lines[self._tenants.first()]
        oldest = next(iter(lines.by_age))
        if now - oldest.arrived > self._longest_wait:
            return oldest
        return next(iter(lines.jobs[lines.order.first()]))

    def similar(self, job: Job) -> Iterator[Job]:
        """The others for the same model, those of the nearest size first, old ones before new."""
        by_size, sizes = self._by_size[job.model], self._sizes[job.model]
        high = bisect_left(sizes, job.size)
        low = high - 1
        while low >= 0 or high < len(sizes):
            below = job.size - sizes[low] if low >= 0 else None
            above = sizes[high] - job.size if high < len(sizes) else None
            if above is None or (below is not None and below < above):
                size, low = sizes[low], low - 1
            else:
                size, high = sizes[high], high + 1
            for other in by_size[size]:
                if other is not job:
                    yield other

    def serve(self, lead: Job, others: list[Job]) -> None:
        """They leave the queue to be run, each at its own tenant's cost."""
        self._tenants.serve(lead.tenant, lead.seconds)
        self._lines[lead.tenant].order.serve(lead.line, lead.seconds)
        for job in others:
            self._tenants.charge(job.tenant, job.seconds)
            self._lines[job.tenant].order.charge(job.line, job.seconds)
        for job in (lead, *others):
            self.remove(job)

    def remove(self, job: Job) -> None:
        """It leaves the queue."""
        lines = self._lines[job.tenant]
        del lines.by_age[job]
        del lines.jobs[job.line][job]
        if not lines.jobs[job.line]:
            del lines.jobs[job.line]
            lines.order.leave(job.line)
        if not lines.by_age:
            del self._lines[job.tenant]
            self._tenants.leave(job.tenant)
        sizes = self._by_size[job.model]
        del sizes[job.size][job]
        if not sizes[job.size]:
            del sizes[job.size]
            self._sizes[job.model].remove(job.size)
            if not sizes:
                del self._by_size[job.model], self._sizes[job.model]
        self._length -= 1

    def __contains__(self, job: Job) -> bool:
        lines = self._lines.get(job.tenant)
        return lines is not None and job in lines.by_age

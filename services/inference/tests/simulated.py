"""Models that answer at once, and a schedule whose time is the test's."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from inference.admission import Limits
from inference.domain import Caller, Item, Rejection, Scored, TextFacts
from inference.latency_model import LatencyModel
from inference.runnable import Batching, Prepared
from inference.schedule import Batch, Schedule
from inference.waiting import Job

ALONE = Batching(independent=False, max_items=1, max_padded_tokens=256)
TOGETHER = Batching(independent=True, max_items=8, max_padded_tokens=512)
NO_LIMITS = Limits(items=1_000_000, seconds=1e9, short_queue=1_000_000)
PER_TOKEN = 0.001
GAIN = 0.8
"""What eight items take together, of what they take one by one."""


@dataclass(frozen=True)
class Encoded:
    text: str

    @property
    def size(self) -> int:
        return len(self.text)


class FakeModel:
    """Its texts have as many tokens as characters."""

    def __init__(
        self, batching: Batching = ALONE, name: str = "m", max_waiting_items: int | None = None
    ) -> None:
        self.name = name
        self.version = "1"
        self.batching = batching
        self.max_size = 256
        self.max_waiting_items = max_waiting_items
        self.batches: list[list[str]] = []

    def prepare(self, item: Item) -> Encoded | Rejection:
        assert item.text is not None
        return Encoded(item.text)

    def sample(self, size: int) -> Encoded:
        return Encoded("x" * size)

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        texts = [each.text for each in batch if isinstance(each, Encoded)]
        self.batches.append(texts)
        return [
            Scored({"negative": 0.25, "positive": 0.75}, TextFacts(b"", len(text), 1, 0, 0), 1.0)
            for text in texts
        ]


class Latency(LatencyModel):
    """Proportional to the tokens; eight together take less."""

    def __init__(self) -> None:
        super().__init__({(1, size): size * PER_TOKEN for size in (1, 256)})

    def seconds(self, items: int, size: int) -> float:
        among = min(items, 8)
        share = (1 + (among - 1) * (8 * GAIN - 1) / 7) / among
        return super().seconds(items, size) * share


def item(text: str, tenant: str = "acme", request: str = "r", **facts: float) -> Item:
    return Item(text, Caller(tenant, "client"), request, deadline=facts.get("deadline"))


@dataclass(order=True)
class Arrival:
    at: float
    order: int
    tenant: str = field(compare=False)
    request: str = field(compare=False)
    sizes: Sequence[int] = field(compare=False)
    deadline: float | None = field(default=None, compare=False)
    model: FakeModel | None = field(default=None, compare=False)


class Simulation:
    """Threads that take exactly as long as was predicted."""

    def __init__(self, model: FakeModel, threads: int = 1, limits: Limits = NO_LIMITS) -> None:
        self.model = model
        self.threads = threads
        self.schedule = Schedule(threads, limits)
        self.schedule.introduce(model, Latency())
        self.arrivals: list[Arrival] = []
        self.began: dict[Job, float] = {}
        self.ended: dict[Job, float] = {}
        self.batches: list[Batch] = []
        self.refused: list[tuple[Job, Rejection]] = []
        self.late: list[Job] = []
        self.longest_batch = 0.0
        self._order = count()

    def arrive(
        self,
        at: float,
        tenant: str,
        request: str,
        sizes: Sequence[int],
        deadline: float | None = None,
        model: FakeModel | None = None,
    ) -> None:
        if model is not None:
            self.schedule.introduce(model, Latency())
        order = next(self._order)
        self.arrivals.append(Arrival(at, order, tenant, request, sizes, deadline, model))

    def run(self) -> None:
        """Until nothing is left to do."""
        heapq.heapify(self.arrivals)
        running: list[tuple[float, int, Batch]] = []
        now = 0.0
        while self.arrivals or running or self.schedule.waiting:
            while len(running) < self.threads:
                idle = self.threads - len(running) - 1
                batch, late = self.schedule.next_batch(now, idle)
                self.late += late
                if batch is None:
                    break
                self._begin(batch, now)
                heapq.heappush(running, (batch.ends, next(self._order), batch))
            if running and (not self.arrivals or running[0][0] <= self.arrivals[0].at):
                now, _, batch = heapq.heappop(running)
                self.schedule.finish(batch, None)
                self.ended.update(dict.fromkeys(batch.jobs, now))
            elif self.arrivals:
                arrival = heapq.heappop(self.arrivals)
                now = arrival.at
                self._take_on(arrival)

    def waits(self, tenant: str) -> list[float]:
        return [at - job.arrived for job, at in self.began.items() if job.tenant == tenant]

    def _begin(self, batch: Batch, now: float) -> None:
        self.batches.append(batch)
        self.began.update(dict.fromkeys(batch.jobs, now))
        self.longest_batch = max(self.longest_batch, batch.ends - now)

    def _take_on(self, arrival: Arrival) -> None:
        items = [
            Item(
                "x" * size,
                Caller(arrival.tenant, "c"),
                arrival.request,
                deadline=arrival.deadline,
            )
            for size in arrival.sizes
        ]
        jobs = [
            Job(each, arrival.model or self.model, arrival, place, arrival.at, 1, 0.0)
            for place, each in enumerate(items)
        ]
        self.refused += self.schedule.take_on(jobs, arrival.at)
        for job in self.schedule.take_unprepared(arrival.at, len(jobs)):
            self.schedule.put_ready(job, Encoded(job.item.text or ""))

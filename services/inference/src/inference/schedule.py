"""Decides what is taken on, what is prepared next and what runs next. Knows no threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from inference.admission import Forecast, Limits, refusal
from inference.backlog import Backlog
from inference.batch_choice import companions
from inference.domain import Fault, Rejection
from inference.latency_model import LatencyModel, Profile
from inference.runnable import Prepared, RunnableModel
from inference.waiting import Job, WaitingQueue

_LONGEST_WAIT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs of one model that run together."""

    model: RunnableModel
    jobs: Sequence[Job]
    size: int
    """Of the largest."""
    ends: float
    """When it is predicted to be done, if it begins at once."""


class _Stage:
    """What is answered to somebody goes before what is not."""

    def __init__(self) -> None:
        self.foreground = WaitingQueue(_LONGEST_WAIT)
        self.background = WaitingQueue(_LONGEST_WAIT)

    def __len__(self) -> int:
        return len(self.foreground) + len(self.background)

    def of(self, job: Job) -> WaitingQueue:
        return self.background if job.background else self.foreground

    @property
    def first(self) -> WaitingQueue:
        return self.foreground if len(self.foreground) else self.background


class Schedule:
    """Jobs from their arrival to their run. Not safe to use from several threads at once.

    A job is taken on, prepared (encoded) and run. Both stages are fair between tenants and,
    within a tenant, between its requests, so that what somebody sends in bulk delays others by
    one batch at most. Batches are chosen when a thread is free to run one, never earlier.

    Args:
        threads: batches that may run at the same time.
    """

    def __init__(self, threads: int, limits: Limits) -> None:
        self._threads = threads
        self._limits = limits
        self._raw = _Stage()
        self._ready = _Stage()
        self._backlog = Backlog()
        self._running: set[Batch] = set()
        self._profiles: WeakKeyDictionary[RunnableModel, Profile] = WeakKeyDictionary()

    @property
    def waiting(self) -> int:
        """Jobs that were taken on and do not run yet."""
        return self._backlog.jobs

    @property
    def running(self) -> int:
        """Batches that run."""
        return len(self._running)

    @property
    def unprepared(self) -> int:
        """Jobs that wait for being prepared."""
        return len(self._raw)

    @property
    def ready(self) -> int:
        """Jobs that wait for being run."""
        return len(self._ready)

    def introduce(self, model: RunnableModel, latency: LatencyModel) -> None:
        """Tells what was measured of a model; one that is not introduced is learned as it runs."""
        self._profiles[model] = Profile(model, latency)

    def latency_of(self, model: RunnableModel) -> LatencyModel:
        """What is known of the model's runs by now."""
        return self._profile(model).latency

    def take_on(self, jobs: Sequence[Job], now: float) -> list[tuple[Job, Rejection]]:
        """Jobs of one call that arrive; returns those that are refused instead, and why."""
        refused = []
        waits: dict[tuple[str, str], float] = {}
        for job in jobs:
            profile = self._profile(job.model)
            job.size = profile.size_guess.of(_length(job))
            job.seconds = profile.latency.seconds(1, job.size)
            if not job.background:
                rejection = refusal(
                    self._forecast(job, now, waits), job.item.deadline, self._limits
                )
                if rejection is not None:
                    if rejection.fault is Fault.DEADLINE_EXCEEDED and not _is_late(job, now):
                        profile.latency.doubt()
                    refused.append((job, rejection))
                    continue
                self._account(job, 1)
            self._raw.of(job).add(job)
        return refused

    def withdraw(self, jobs: Sequence[Job]) -> int:
        """Nobody waits for them any more; returns how many will not be run for that."""
        return sum(self._drop(job) for job in jobs)

    def take_unprepared(self, now: float, most: int) -> list[Job]:
        """Jobs to prepare next, on the calling thread. Give each back to `put_ready` or `drop`."""
        queue = self._raw.first
        jobs: list[Job] = []
        while len(jobs) < most and (job := queue.lead(now)) is not None:
            queue.serve(job, [])
            jobs.append(job)
        return jobs

    def put_ready(self, job: Job, prepared: Prepared) -> None:
        """It is prepared and waits for its run, unless nobody waits for it any more."""
        if job.gone:
            return
        profile = self._profile(job.model)
        profile.size_guess.learn(_length(job), prepared.size)
        self._account(job, -1)
        job.prepared, job.size = prepared, prepared.size
        job.seconds = profile.latency.seconds(1, job.size)
        self._account(job, 1)
        self._ready.of(job).add(job)

    def drop(self, job: Job) -> None:
        """It was taken out to be prepared, and cannot be."""
        self._drop(job)

    def next_batch(self, now: float, idle: int = 0) -> tuple[Batch | None, list[Job]]:
        """What a free thread runs next, and the jobs that it was too late for.

        Args:
            idle: other threads that are free as well, and would take a part of what waits.
        """
        late: list[Job] = []
        queue = self._most_urgent()
        while (lead := queue.lead(now)) is not None:
            if not _is_late(lead, now):
                break
            late.append(lead)
            self._drop(lead)
            queue = self._most_urgent()
        if lead is None:
            return None, late
        latency = self._profile(lead.model).latency
        fresh = (job for job in queue.similar(lead) if not _is_late(job, now))
        # Rounded up, so that the last ones do not wait for a second round.
        most = -(-len(queue) // (idle + 1))
        others = companions(lead, fresh, lead.model.batching, latency.seconds, most)
        queue.serve(lead, others)
        jobs = (lead, *others)
        for job in jobs:
            self._account(job, -1)
            job.runs = True
        size = max(job.size for job in jobs)
        batch = Batch(lead.model, jobs, size, now + latency.seconds(len(jobs), size))
        self._running.add(batch)
        return batch, late

    def finish(self, batch: Batch, seconds: float | None) -> None:
        """The batch is done.

        Args:
            seconds: that it took; None where it failed, which says nothing about the next.
        """
        self._running.discard(batch)
        if seconds is not None:
            self._profile(batch.model).latency.observe(len(batch.jobs), batch.size, seconds)

    def _most_urgent(self) -> WaitingQueue:
        # What somebody waits for may be on its way here: nothing else begins before it is.
        return self._ready.foreground if self._backlog.jobs else self._ready.background

    def _forecast(self, job: Job, now: float, waits: dict[tuple[str, str], float]) -> Forecast:
        backlog, tenant = self._backlog, job.tenant
        running = sum(max(0.0, batch.ends - now) for batch in self._running)
        free = len(self._running) < self._threads and not backlog.jobs
        wait = 0.0 if free else (backlog.ahead_of(job) + running) / self._threads
        of_tenant = backlog.jobs_of(tenant)
        most = job.model.max_waiting_items
        return Forecast(
            now=now,
            seconds=job.seconds,
            wait=wait,
            wait_of_request=waits.setdefault((tenant, job.item.request_id), wait),
            waiting=backlog.jobs,
            waiting_of_tenant=of_tenant,
            tenants=len(backlog) + (not of_tenant),
            room=None if most is None else most - self._profile(job.model).waiting,
        )

    def _profile(self, model: RunnableModel) -> Profile:
        profile = self._profiles.get(model)
        if profile is None:
            profile = self._profiles[model] = Profile(model, LatencyModel({}))
        return profile

    def _account(self, job: Job, by: int) -> None:
        if not job.background:
            (self._backlog.add if by > 0 else self._backlog.remove)(job)
            self._profile(job.model).waiting += by

    def _drop(self, job: Job) -> bool:
        if job.gone or job.runs:
            return False
        job.gone = True
        for stage in (self._raw, self._ready):
            queue = stage.of(job)
            if job in queue:
                queue.remove(job)
        self._account(job, -1)
        return True


def _is_late(job: Job, now: float) -> bool:
    return job.item.deadline is not None and job.item.deadline <= now


def _length(job: Job) -> int:
    return len(job.item.text) if job.item.text is not None else 1

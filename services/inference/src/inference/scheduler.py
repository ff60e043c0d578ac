"""Threads that do what the schedule decides, and the way to them from the event loop."""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from inference import scheduler_metrics as metrics
from inference.admission import Limits
from inference.domain import Fault, Item, Rejection, Scored
from inference.runnable import RunnableModel
from inference.schedule import Batch, Schedule
from inference.waiting import Job
from inference.warm_up import measure

_log = structlog.get_logger(__name__)

Answer = Scored | Rejection

_NICENESS = 10
_PREPARED_AT_ONCE = 8
"""Few, so that the first of many texts soon runs while the others are encoded."""
_LATE = Rejection(Fault.DEADLINE_EXCEEDED, "Its time was up before it could run.")
_FAILED = Rejection(Fault.MODEL_FAILED, "The model failed on this input.")


@dataclass(slots=True, eq=False)
class _Call:
    """The items that arrived together, and what is known of their answers."""

    done: "asyncio.Future[None]"
    answers: list[Answer | None]
    jobs: list[Job] = field(default_factory=list)
    missing: int = 0


class Scheduler:
    """Runs items on threads of its own; as many batches at the same time as there are workers.

    One more thread encodes inputs while all workers run. Workers that are idle encode, too, so
    that a lone item goes through one thread only.

    Enter it as an asynchronous context: leaving ends the threads after the batches that run.

    Args:
        threads: batches that run at the same time, each on one core.
    """

    def __init__(self, threads: int, limits: Limits) -> None:
        self._schedule = Schedule(threads, limits)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._encoding = threading.Condition(self._lock)
        self._idle = 0
        self._stopping = False
        self._finished: deque[tuple[Job, Answer]] = deque()
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        metrics.WAITING.set_function(lambda: self._schedule.waiting)
        metrics.RUNNING.set_function(lambda: self._schedule.running)
        metrics.THREADS.set(threads)
        self._threads = [
            threading.Thread(target=self._run_batches, name=f"model_{number}", daemon=True)
            for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._encode, name="encoder", daemon=True))

    def warm_up(self, model: RunnableModel) -> None:
        """Measures a model before it takes calls; blocks for some tenths of a second."""
        latency = measure(model, time.perf_counter)
        with self._lock:
            self._schedule.introduce(model, latency)

    async def run(
        self, work: Sequence[tuple[RunnableModel, Item]], *, background: bool = False
    ) -> list[Answer]:
        """One answer per item, in their order. Cancelled, it withdraws what does not run yet.

        Args:
            background: nobody waits for the answers: they are made when nothing else waits, and
                never refused.
        """
        if not work:
            return []
        now = time.monotonic()
        call = _Call(asyncio.get_running_loop().create_future(), [None] * len(work))
        call.jobs = [
            Job(item, model, call, place, now, size=1, seconds=0.0, background=background)
            for place, (model, item) in enumerate(work)
        ]
        with self._lock:
            refused = self._schedule.take_on(call.jobs, now)
            call.missing = len(work) - len(refused)
            self._wake_for_new(call.missing)
        for job, rejection in refused:
            call.answers[job.place] = rejection
        try:
            if call.missing:
                await self._answered(call)
        finally:
            # Jobs and their call would keep each other, and a version that was unloaded, in memory.
            call.jobs = []
        return [answer for answer in call.answers if answer is not None]

    async def _answered(self, call: _Call) -> None:
        try:
            await call.done
        except asyncio.CancelledError:
            with self._lock:
                dropped = self._schedule.withdraw(call.jobs)
                self._work.notify()  # what nobody waits for may have waited for them
            metrics.DROPPED.labels("caller_gone").inc(dropped)
            raise

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stopping = True
            self._work.notify_all()
            self._encoding.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _wake_for_new(self, items: int) -> None:
        """Idle workers take new items themselves; the encoder does what is more than they are."""
        self._work.notify(items)
        if self._schedule.unprepared > self._idle:
            self._encoding.notify()

    def _encode(self) -> None:
        while True:
            with self._lock:
                while not self._schedule.unprepared:
                    if self._stopping:
                        return
                    self._encoding.wait()
                if self._stopping:
                    return
                jobs = self._schedule.take_unprepared(time.monotonic(), _PREPARED_AT_ONCE)
            self._prepare(jobs, for_others=True)
            del jobs

    def _prepare(self, jobs: Sequence[Job], *, for_others: bool) -> None:
        for job in jobs:
            try:
                prepared = job.model.prepare(job.item)
            except Exception:
                self._report(job)
                prepared = _FAILED
            with self._lock:
                if isinstance(prepared, Rejection):
                    self._schedule.drop(job)
                else:
                    self._schedule.put_ready(job, prepared)
                if for_others:
                    self._work.notify()
            if isinstance(prepared, Rejection):
                self._tell([(job, prepared)])

    def _run_batches(self) -> None:
        _give_way()
        while True:
            with self._lock:
                batch, late, raw = self._next_step()
                if self._stopping:
                    return
            if late:
                metrics.DROPPED.labels("deadline").inc(len(late))
                self._tell([(job, _LATE) for job in late])
            if raw:
                self._prepare(raw, for_others=False)
            if batch is not None:
                self._run(batch)
            # An idle thread must not keep a version that was unloaded in memory.
            del batch, late, raw

    def _next_step(self) -> tuple[Batch | None, list[Job], list[Job]]:
        """A batch, jobs that it was too late for, and jobs to encode; waits until there is one."""
        while not self._stopping:
            now = time.monotonic()
            batch, late = self._schedule.next_batch(now, self._idle)
            if batch is not None or late:
                if self._schedule.unprepared:
                    self._encoding.notify()
                return batch, late, []
            if raw := self._schedule.take_unprepared(now, 1):
                return None, [], raw
            self._idle += 1
            self._work.wait()
            self._idle -= 1
        return None, [], []

    def _run(self, batch: Batch) -> None:
        metrics.observe_batch(batch, time.monotonic())
        started = time.perf_counter()
        try:
            scored = batch.model.run([job.prepared for job in batch.jobs if job.prepared])
            if len(scored) != len(batch.jobs):
                raise ValueError("the model gave another number of answers than it got inputs")
        except Exception:
            self._end(batch, None)
            self._report(batch.jobs[0])
            self._tell(self._run_alone(batch))
            return
        self._end(batch, time.perf_counter() - started)
        self._tell(list(zip(batch.jobs, scored, strict=True)))

    def _run_alone(self, batch: Batch) -> list[tuple[Job, Answer]]:
        """One by one after they failed together, so that only those fail that are at fault."""
        answers: list[tuple[Job, Answer]] = []
        for job in batch.jobs if len(batch.jobs) > 1 else ():
            try:
                (scored,) = batch.model.run([job.prepared] if job.prepared else [])
            except Exception:
                answers.append((job, _FAILED))
            else:
                answers.append((job, scored))
        return answers or [(job, _FAILED) for job in batch.jobs]

    def _report(self, job: Job) -> None:
        _log.exception("model_failed", model=job.model.name, version=job.model.version)

    def _end(self, batch: Batch, seconds: float | None) -> None:
        with self._lock:
            self._schedule.finish(batch, seconds)
        if seconds is not None:
            metrics.RUN_SECONDS.labels(batch.model.name).observe(seconds)

    def _tell(self, answers: Sequence[tuple[Job, Answer]]) -> None:
        """Takes answers to the event loop, in one step with others that are on their way."""
        with self._lock:
            self._finished.extend(answers)
            if self._telling or self._loop is None:
                return
            self._telling = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            # The loop is closed: nobody waits for anything any more.
            return

    def _deliver(self) -> None:
        with self._lock:
            self._telling = False
            answers = list(self._finished)
            self._finished.clear()
        for job, answer in answers:
            call = job.call
            if not isinstance(call, _Call):
                raise AssertionError("jobs are made by run")
            call.answers[job.place] = answer
            call.missing -= 1
            if not call.missing and not call.done.done():
                call.done.set_result(None)


def _give_way() -> None:
    """Lets the process's other threads go before this one, which never waits for anything long.

    The event loop takes new items in and answers, the encoder keeps batches ready: each needs a
    moment now and then, which would otherwise come after a model thread's turn of milliseconds.
    """
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        os.nice(_NICENESS)

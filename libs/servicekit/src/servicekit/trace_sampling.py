"""Which traces are recorded, decided where they begin, and what an unrecorded one carries.

A caller's own decision is followed. A new trace is recorded by chance, and never more of them a
second than is set: an idle service records every one, a busy one spends nearly nothing on traces.
What is not recorded keeps its ids all the same, for logs, answers and whoever is called.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    Decision,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_BURST = 5.0
"""Seconds' worth of traces that may begin at once."""
_recorded: ContextVar[bool] = ContextVar("recorded", default=False)


class NewTraceSampler(Sampler):
    """Decides on traces that begin here.

    Args:
        ratio: share of them that is recorded.
        rate: most of them a second; 0 sets no bound.
    """

    def __init__(
        self, ratio: float, rate: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._by_chance = TraceIdRatioBased(ratio)
        self._rate = rate
        self._clock = clock
        self._room = rate * _BURST
        self._counted_at = clock()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The SDK's own question."""
        if _recorded.get():
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        chance = self._by_chance.should_sample(parent_context, trace_id, name, kind, attributes)
        if chance.decision.is_sampled() and not self._has_room():
            return SamplingResult(Decision.DROP, None, trace_state)
        return chance

    def get_description(self) -> str:
        """What it is, for whoever lists samplers."""
        return f"NewTraceSampler{{{self._by_chance.rate},{self._rate}}}"

    def _has_room(self) -> bool:
        if not self._rate:
            return True
        now = self._clock()
        most = self._rate * _BURST
        self._room = min(most, self._room + (now - self._counted_at) * self._rate)
        self._counted_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True


def parse_traceparent(value: str | None) -> SpanContext | None:
    """The remote span of a W3C traceparent; None where there is none, or none that is valid."""
    found = _TRACEPARENT.fullmatch(value) if value else None
    if found is None:
        return None
    span = SpanContext(
        int(found[1], 16), int(found[2], 16), True, TraceFlags(int(found[3], 16) & 1)
    )
    return span if span.is_valid else None


def begins_recorded(sampler: Sampler) -> bool:
    """Whether a trace that begins now is to be recorded."""
    decision = sampler.should_sample(Context(), random.getrandbits(128), "").decision
    return decision is Decision.RECORD_AND_SAMPLE


@contextmanager
def recorded() -> Iterator[None]:
    """Traces that begin in the block are recorded: that has been decided."""
    token = _recorded.set(True)
    try:
        yield
    finally:
        _recorded.reset(token)


@contextmanager
def unrecorded(parent: SpanContext | None) -> Iterator[SpanContext]:
    """Runs the block in a span that nobody records, of the parent's trace or a new one."""
    span = unrecorded_span(parent)
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span)))
    try:
        yield span
    finally:
        context.detach(token)


def unrecorded_span(parent: SpanContext | None) -> SpanContext:
    """A new span of the parent's trace, or of a new one, that is not recorded."""
    trace_id = parent.trace_id if parent else random.getrandbits(128) or 1
    return SpanContext(trace_id, random.getrandbits(64) or 1, False)

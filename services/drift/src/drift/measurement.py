"""What is told to the world when a window closes."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from drift.comparison import compare
from drift.decisions import Decisions, statistics
from drift.domain import ModelVersion, Population, ReferenceInvalid, ReferenceMissing
from drift.impact import estimate_impact
from drift.incidents import JudgedWindow
from drift.judging import judge
from drift.judging_faults import judging
from drift.references_in_force import ReferencesInForce
from drift.signals import PACKAGE, SignalReference
from drift.version_state import Window

_log = structlog.get_logger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Metric:
    """One statistic of one signal."""

    signal: str
    statistic: str
    value: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """A closed window compared with its reference."""

    measurement_id: UUID
    measured_at: datetime
    of: Population
    window_start: datetime
    window_end: datetime
    rows: int
    metrics: Sequence[Metric]
    reference_id: str = PACKAGE

    def drifted(self) -> frozenset[str]:
        """The signals that had, by name."""
        return frozenset(m.signal for m in self.metrics if m.statistic == "drift" and m.value)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is told of a closed window, and what incidents are made of."""

    measurement: Measurement
    judged: JudgedWindow


def measurement_id(of: Population, predicted_at: datetime, last_entry: str) -> UUID:
    """A UUIDv7 (RFC 9562) that is the same whenever the same window is closed again.

    Its time is that of the window's last prediction; where a new id has random bits it has those of
    a hash of whose window it is and the stream entry that closed it.
    """
    milliseconds = (predicted_at - _EPOCH) // timedelta(milliseconds=1)
    digest = hashlib.sha256(f"{of}\0{last_entry}".encode()).digest()
    random = int.from_bytes(digest[:10])
    bits = milliseconds << 80 | random
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=bits)


class Measurer:
    """Compares windows as they close, and decides about them."""

    def __init__(
        self,
        references: ReferencesInForce,
        decisions: Decisions,
        *,
        minimum_rows: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._references = references
        self._decisions = decisions
        self._minimum_rows = minimum_rows
        self._clock = clock

    async def reference(self, about: ModelVersion) -> SignalReference | None:
        """What windows of a version are compared with; None where there is none that is good.

        Raises:
            StateUnavailable: nobody can say now which one is in force.
        """
        try:
            return await self._references.find(about)
        except (ReferenceMissing, ReferenceInvalid):
            return None

    async def measure(self, of: Population, window: Window, last_entry: str) -> Measured | None:
        """What a full window shows; None, with a log event, if there is no reference.

        Raises:
            StateUnavailable: nobody can say now which one is in force.
            WindowUnjudgeable: nobody can say what it shows.
        """
        about = of.about
        try:
            reference = await self._references.find(about)
        except (ReferenceMissing, ReferenceInvalid) as error:
            _log.warning(
                "window_not_measured", model=about.model, version=about.version, reason=error.code
            )
            return None
        # A version's first verdict takes half a second; calls must not wait for it.
        with judging():
            return await asyncio.to_thread(self._measured, of, reference, window, last_entry)

    def _measured(
        self, of: Population, reference: SignalReference, window: Window, last_entry: str
    ) -> Measured | None:
        span = window.span()
        if span.first_predicted_at is None or span.last_predicted_at is None:
            return None
        signals = compare(reference.window, window.observed, self._minimum_rows)
        verdicts = self._decisions.decide(reference, window.observed)
        found = [(signal.name, signal.statistics()) for signal in signals]
        found += [(verdict.signal.name, statistics(verdict)) for verdict in verdicts]
        measurement = Measurement(
            measurement_id=measurement_id(of, span.last_predicted_at, last_entry),
            measured_at=self._clock(),
            of=of,
            window_start=span.first_predicted_at,
            window_end=span.last_predicted_at,
            rows=span.rows,
            metrics=[
                Metric(signal, statistic, value)
                for signal, statistics_of_it in found
                for statistic, value in statistics_of_it.items()
            ],
            reference_id=reference.reference_id,
        )
        judged = judge(
            verdicts,
            reference,
            window.observed,
            start=span.first_predicted_at,
            end=span.last_predicted_at,
            smallest=self._decisions.smallest,
            impact=partial(estimate_impact, reference, window.observed),
        )
        return Measured(measurement, judged)

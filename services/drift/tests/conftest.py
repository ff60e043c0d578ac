"""What the tests make: predictions, references, events."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from drift.break_watch import BreakWatch
from drift.columns import prediction_columns
from drift.decisions import Decisions
from drift.domain import ModelVersion, PredictionFacts
from drift.measurement import Measurer
from drift.monitor import CONSUMER, GROUP, Monitor
from drift.reference_repository import ReferenceRepository
from drift.references_in_force import ReferencesInForce
from drift.signal_records import SIGNALS, records_of
from drift.signals import SignalWindow
from drift.state_store import StateStore
from drift.verdict import SmallestEffects
from drift.version_state import WindowSize
from servicekit.event_stream import Event, EventConsumer, EventPublisher
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2_grpc
from weir.events.v1 import events_pb2

from .serving import serving

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
REVIEWS = ModelVersion("reviews", "1")
PREDICTIONS = "weir:predictions:0"
FEEDBACK = "weir:feedback"
MEASUREMENTS = "weir:measurements"
INCIDENTS = "weir:incidents"


@dataclass
class World:
    """Draws predictions of a made-up sentiment model; what it draws can be shifted."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    drawn: int = 0

    def prediction(
        self,
        about: ModelVersion = REVIEWS,
        *,
        extra_tokens: int = 0,
        negative: float = 0.4,
        **changes: Any,
    ) -> PredictionFacts:
        self.drawn += 1
        text_tokens = changes.pop("text_tokens", 1 + int(self.random.poisson(18)) + extra_tokens)
        drawn = PredictionFacts(
            about=about,
            predicted_at=START + timedelta(seconds=self.drawn),
            input_tokens=text_tokens + 2,
            text_tokens=text_tokens,
            unknown_tokens=int(self.random.binomial(text_tokens, 0.004)),
            label="negative" if self.random.random() < negative else "positive",
            confidence=float(self.random.beta(8, 1) / 2 + 0.5),
            prediction_id=f"prediction {self.drawn}",
            letters={"latin": 4 * text_tokens} if text_tokens else {},
        )
        return replace(drawn, **changes)

    def observed(self, rows: int, **shift: Any) -> SignalWindow:
        window = SignalWindow()
        window.update(rows, prediction_columns([self.prediction(**shift) for _ in range(rows)]))
        return window

    def events(
        self, rows: int, about: ModelVersion = REVIEWS, **shift: Any
    ) -> list[events_pb2.PredictionRecorded]:
        return [recorded(self.prediction(about, **shift)) for _ in range(rows)]


def recorded(prediction: PredictionFacts) -> events_pb2.PredictionRecorded:
    event = events_pb2.PredictionRecorded(
        prediction_id=prediction.prediction_id,
        model=prediction.about.model,
        tenant=prediction.tenant,
        model_version=prediction.about.version,
        input=events_pb2.InputFacts(
            tokens=prediction.input_tokens,
            unknown_tokens=prediction.unknown_tokens,
            special_tokens=prediction.input_tokens - prediction.text_tokens,
            letters=prediction.letters,
        ),
        label=prediction.label,
        confidence=prediction.confidence,
    )
    event.predicted_at.FromDatetime(prediction.predicted_at)
    return event


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty model repository."""
    root = tmp_path / "models"
    root.mkdir()
    return root


WriteReference = Callable[..., Path]


@pytest.fixture
def write_reference(repository: Path) -> WriteReference:
    """Puts a reference of 2000 predictions into the repository; `changes` replace fields."""

    def write(about: ModelVersion = REVIEWS, rows: int = 2000, **changes: object) -> Path:
        signals = records_of(World(np.random.default_rng(1)).observed(rows))
        content = {
            "format": 2,
            "model": about.model,
            "model_version": about.version,
            "source": "made-up, test split",
            "rows": rows,
            "signals": SIGNALS.dump_python(signals, mode="json"),
        } | changes
        path = repository / about.model / about.version / "reference.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


class Service:
    """Monitor and consumers over a real Redis, with small windows; `again` is a restart."""

    def __init__(
        self,
        redis: Redis,
        repository: Path,
        *,
        window_rows: int = 100,
        kept_versions: int = 10,
        tenants: int = 8,
    ) -> None:
        self.redis = redis
        self.repository = repository
        self.store = StateStore(redis)
        self.references = ReferencesInForce(self.store, ReferenceRepository(repository))
        self.decisions = Decisions(minimum_rows=30, q=0.05, smallest=SmallestEffects())
        self.publisher = EventPublisher(redis)
        self.breaks = BreakWatch(0)
        self.monitor = Monitor(
            self.store,
            Measurer(self.references, self.decisions, minimum_rows=30, clock=lambda: START),
            self.breaks,
            measurements_stream=MEASUREMENTS,
            incidents_stream=INCIDENTS,
            window_size=WindowSize(window_rows),
            kept_versions=kept_versions,
            tenants=tenants,
            clock=lambda: START,
        )
        self.predictions = self.consumer(PREDICTIONS)
        self.feedback = self.consumer(FEEDBACK)

    def again(self, window_rows: int = 100) -> "Service":
        return Service(self.redis, self.repository, window_rows=window_rows)

    def consumer(self, stream: str, batch_size: int = 500) -> EventConsumer:
        return EventConsumer(
            self.redis,
            stream=stream,
            group=GROUP,
            consumer=CONSUMER,
            batch_size=batch_size,
            block=0.01,
        )

    async def take_predictions(self, events: Sequence[Event]) -> None:
        await self.monitor.take_predictions(PREDICTIONS, events)

    async def take_feedback(self, events: Sequence[Event]) -> None:
        await self.monitor.take_feedback(FEEDBACK, events)

    async def publish(self, *events: events_pb2.PredictionRecorded) -> None:
        await self.publisher.publish(PREDICTIONS, events)

    async def consume(self) -> None:
        """Applies everything that waits in both streams."""
        while await self.predictions.consume_once(self.take_predictions):
            pass
        while await self.feedback.consume_once(self.take_feedback):
            pass

    async def rows(self, about: ModelVersion = REVIEWS) -> int:
        """Of the open window."""
        state = await self.store.load(about)
        return state.open.rows if state.open else 0

    async def measurements(self) -> list[events_pb2.DatasetMeasured]:
        entries = await self.redis.xrange(MEASUREMENTS)
        return [events_pb2.DatasetMeasured.FromString(fields[b"data"]) for _, fields in entries]

    async def incidents(self) -> list[events_pb2.DriftIncidentChanged]:
        """Every change that was told, in order."""
        entries = await self.redis.xrange(INCIDENTS)
        return [
            events_pb2.DriftIncidentChanged.FromString(fields[b"data"]) for _, fields in entries
        ]


@pytest.fixture
def service(redis: Redis, repository: Path) -> Service:
    return Service(redis, repository)


@pytest_asyncio.fixture
async def stub(service: Service, tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Any]:
    """Calls the whole contract, with a token that may read."""
    async with serving(service, tmp_path, issuer) as channel, channel() as opened:
        yield drift_pb2_grpc.DriftServiceStub(opened)

"""Reports on made rows, for tests of what is made of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from drift.decisions import Decisions
from drift.domain import FeedbackSummary, ModelVersion
from drift.report import Onset, Report
from drift.report_document import ReportComposer
from drift.signals import (
    CategoryColumn,
    Column,
    Group,
    Kind,
    RatioColumn,
    SignalReference,
    SignalWindow,
    Watched,
    feature,
    missing_rate,
)
from drift.verdict import SmallestEffects
from drift.version_state import Window, WindowSize

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ABOUT = ModelVersion("prices", "3")
KIND = Watched("kind", Group.TABULAR, Kind.CATEGORY)


def columns(rows: int, *, shift: float = 0.0, seed: int = 1) -> dict[Watched, Column]:
    """A number, a category and a ratio; `shift` moves all of them."""
    random = np.random.default_rng(seed)
    kinds = random.random(rows) < 0.3 + shift / 4
    return {
        feature("size"): random.normal(shift, 1, rows),
        KIND: CategoryColumn(["flat" if of else "house" for of in kinds]),
        missing_rate("size"): RatioColumn((random.random(rows) < 0.05) * 1.0, np.ones(rows)),
    }


def observed(rows: int, of: Mapping[Watched, Column]) -> SignalWindow:
    window = SignalWindow()
    window.update(rows, of)
    return window


def reference(about: ModelVersion = ABOUT, **changes: Any) -> SignalReference:
    given = {"source": "made-up", "window": observed(5000, columns(5000))} | changes
    return SignalReference(about, **given)


def report(
    rows: int = 1000,
    shift: float = 0.0,
    *,
    against: SignalReference | None = None,
    of: Mapping[Watched, Column] | None = None,
    earlier: Mapping[str, Onset] | None = None,
    **given: Any,
) -> Report:
    composer = ReportComposer(
        Decisions(minimum_rows=30, q=0.05, smallest=SmallestEffects()), minimum_rows=30
    )
    held = observed(rows, of or columns(rows, shift=shift, seed=2))
    window = Window(WindowSize(1000), NOW - timedelta(hours=2), NOW, held)
    return composer.compose(
        against or reference(),
        window,
        generated_at=NOW,
        feedback=FeedbackSummary(0, None),
        earlier=earlier,
        **given,
    )

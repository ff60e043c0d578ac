"""References and windows of the drift benchmark: made rows, an air station's weeks, mixed texts."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drift_texts import Answered, text_tokens

from drift.decision import Decider
from drift.domain import ModelVersion
from drift.signals import (
    CONFIDENCE,
    ENTROPY,
    INPUT_TOKENS,
    LABEL,
    PROJECTION,
    UNKNOWN_TOKEN_RATE,
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
from drift.vector_reservoir import UNKNOWN, VectorRows
from drift.verdict import State

ABOUT = ModelVersion("benchmark", "1")
SIGNALS = 20
WEEK = 168
DAY = 24
_NUMBERS = ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM")
_WIND = Watched("feature:wd", Group.TABULAR, Kind.CATEGORY)


def made_rows(rng: np.random.Generator, rows: int, shift: float = 0.0) -> np.ndarray:
    """[rows, 20] Normal, skewed and tied columns; the first is moved by `shift` deviations."""
    table = rng.standard_normal((rows, SIGNALS))
    table[:, 0] += shift
    table[:, 10:15] = np.exp(table[:, 10:15])
    table[:, 15:18] = np.round(table[:, 15:18] * 2)
    table[:, 18:] = table[:, 18:] > 1
    return table


def window_of(table: np.ndarray, *, gaps: bool = False) -> SignalWindow:
    """Every column is a number; with `gaps` it counts what is missing of the fourth, too."""
    columns: dict[Watched, Column] = {
        feature(f"s{place:02}"): column for place, column in enumerate(table.T)
    }
    if gaps:
        missing = np.isnan(table[:, 3])
        columns[missing_rate("s03")] = RatioColumn(missing * 1.0, np.ones(len(table)))
    window = SignalWindow()
    window.update(len(table), columns)
    return window


def alarms(decider: Decider, window: SignalWindow) -> bool:
    """Whether anything is called drift."""
    return any(v.state is State.DRIFT for v in decider.decide(ABOUT, window))


@dataclass(frozen=True)
class Station:
    """Hourly rows of one air station, in order."""

    name: str
    numbers: np.ndarray
    """[hours, 11] NaN where missing."""
    wind: Sequence[str]
    month: np.ndarray

    @property
    def weeks(self) -> int:
        """Whole ones."""
        return len(self.numbers) // WEEK

    def day(self, first: int, hours: int = DAY) -> SignalWindow:
        """A window of the hours from `first` on: 11 features, wind, and what is missing of 8."""
        rows = self.numbers[first : first + hours]
        wind = [name for name in self.wind[first : first + hours] if name != "NA"]
        columns = {feature(name): rows[:, place] for place, name in enumerate(_NUMBERS)}
        gaps = {
            missing_rate(name): RatioColumn(np.isnan(rows[:, place]) * 1.0, np.ones(len(rows)))
            for place, name in enumerate(_NUMBERS[:8])
        }
        window = SignalWindow()
        window.update(len(rows), {**columns, **gaps, _WIND: CategoryColumn(wind)})
        return window

    def week(self, number: int) -> SignalWindow:
        """The window of one week."""
        return self.day(number * WEEK, WEEK)

    def reference(self, weeks: Sequence[int]) -> SignalReference:
        """Of some weeks in order, by day, with gaps between those that are no neighbours."""
        days = []
        for before, number in zip((None, *weeks), weeks, strict=False):
            if before is not None and number != before + 1:
                days.append(SignalWindow())
            days += [self.day(first) for first in range(number * WEEK, (number + 1) * WEEK, DAY)]
        whole = SignalWindow()
        for day in days:
            whole.merge(day)
        return SignalReference(ABOUT, self.name, whole, None, tuple(days))


def stations(directory: Path, most: int | None = None) -> list[Station]:
    """The first that are there, by name."""
    found = []
    for file in sorted(directory.glob("*.csv.gz"))[:most]:
        with gzip.open(file, "rt") as lines:
            rows = list(csv.DictReader(lines))
        numbers = [[float(r[n]) if r[n] != "NA" else np.nan for n in _NUMBERS] for r in rows]
        found.append(
            Station(
                file.name.removesuffix(".csv.gz"),
                np.array(numbers),
                [row["wd"] for row in rows],
                np.array([int(row["month"]) for row in rows]),
            )
        )
    return found


def text_window(answers: Answered, *, labelled: bool = False) -> SignalWindow:
    """The signals of texts, as the service takes them of its events."""
    rows = len(answers)
    rng = np.random.default_rng(int(answers.tokens.sum()))
    probabilities = np.clip(answers.probabilities, 1e-9, 1)
    confidence = probabilities.max(axis=1)
    largest = np.abs(answers.projection).max(axis=1)
    outcomes = answers.right.astype(np.int8) if labelled else np.full(rows, UNKNOWN, np.int8)
    window = SignalWindow()
    window.update(
        rows,
        {
            INPUT_TOKENS: answers.tokens.astype(float),
            CONFIDENCE: confidence,
            ENTROPY: -(probabilities * np.log(probabilities)).sum(axis=1),
            LABEL: CategoryColumn(list(map(str, probabilities.argmax(axis=1)))),
            UNKNOWN_TOKEN_RATE: RatioColumn(
                answers.unknown.astype(float), text_tokens(answers).astype(float)
            ),
            PROJECTION: VectorRows(
                rng.integers(0, 2**63, rows).astype(np.uint64),
                np.round(answers.projection / largest[:, None] * 127).astype(np.int8),
                (largest / 127).astype(np.float32),
                confidence.astype(np.float32),
                outcomes,
            ),
        },
    )
    return window

"""Drift of made rows: none, one that is known, and of sorts that no data set here has."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from drift_cases import ABOUT, SIGNALS, alarms, made_rows, window_of
from drift_peers import Peers
from drift_results import Result, at_least, at_most

from drift.decision import Decider
from drift.signals import SignalReference, Watched, feature, missing_rate
from drift.verdict import State

REFERENCE_ROWS = 20_000
WINDOWS_OF_A_REFERENCE = 50


def no_drift(rows: int, windows: int, peers: Peers) -> list[Result]:
    """Windows of what the reference is of; a new reference every 50."""
    rng = np.random.default_rng(rows)
    found = []
    for place in range(windows):
        if place % WINDOWS_OF_A_REFERENCE == 0:
            table = made_rows(rng, REFERENCE_ROWS)
            decider = Decider(SignalReference(ABOUT, "made", window_of(table)))
        found.append(alarms(decider, window_of(made_rows(rng, rows))))
    case = f"no drift, n = {rows}"
    compared = np.stack([made_rows(rng, rows) for _ in range(peers.windows)])
    return [at_most(case, found, 0.05), *peers.alarms(case, [(table, compared)])]


def shift(rows: int, deviations: float, windows: int, peers: Peers) -> list[Result]:
    """One of 20 signals moves; that one has to be named."""
    rng = np.random.default_rng(rows)
    table = made_rows(rng, REFERENCE_ROWS)
    decider = Decider(SignalReference(ABOUT, "made", window_of(table)))
    found = []
    for _ in range(windows):
        verdicts = decider.decide(ABOUT, window_of(made_rows(rng, rows, deviations)))
        moved = next(v for v in verdicts if v.signal == feature("s00"))
        found.append(moved.state is State.DRIFT)
    case = f"{deviations} deviations, n = {rows}"
    compared = np.stack([made_rows(rng, rows, deviations) for _ in range(peers.windows)])
    return [at_least(case, found, 0.95), *peers.alarms(case, [(table, compared)])]


@dataclass(frozen=True)
class Shift:
    """What becomes of made rows."""

    case: str
    rows: int
    signal: Watched
    change: Callable[[np.random.Generator, np.ndarray], None]
    """In place."""


def _spread(rng: np.random.Generator, table: np.ndarray) -> None:
    table[:, 1] *= 1.25


def _outliers(rng: np.random.Generator, table: np.ndarray) -> None:
    table[rng.random(len(table)) < 0.03, 2] += 4


def _gaps(rng: np.random.Generator, table: np.ndarray) -> None:
    table[rng.random(len(table)) < 0.03, 3] = np.nan


def _tails(rng: np.random.Generator, table: np.ndarray) -> None:
    table[:, 4] = rng.laplace(0, np.sqrt(0.5), len(table))


def _rarer(rng: np.random.Generator, table: np.ndarray) -> None:
    table[:, 19] = rng.random(len(table)) < 0.10


OTHER_SHIFTS = (
    Shift("1.25 times the spread, n = 1000", 1000, feature("s01"), _spread),
    Shift("3 % far out, n = 2000", 2000, feature("s02"), _outliers),
    Shift("3 % are missing, n = 1000", 1000, missing_rate("s03"), _gaps),
    Shift("Laplace for normal, n = 5000", 5000, feature("s04"), _tails),
    Shift("16 % become 10 %, n = 1000", 1000, feature("s19"), _rarer),
)


def other_shifts(windows: int, peers: Peers) -> list[Result]:
    """One of 20 signals changes otherwise than by moving; that one has to be named."""
    found = []
    for shift_of in OTHER_SHIFTS:
        rng = np.random.default_rng(shift_of.rows)
        table = made_rows(rng, REFERENCE_ROWS)
        decider = Decider(SignalReference(ABOUT, "made", window_of(table, gaps=True)))
        named, compared = [], []
        for _ in range(windows):
            rows = made_rows(rng, shift_of.rows)
            shift_of.change(rng, rows)
            verdicts = decider.decide(ABOUT, window_of(rows, gaps=True))
            moved = next(v for v in verdicts if v.signal == shift_of.signal)
            named.append(moved.state is State.DRIFT)
            compared.append(rows)
        found.append(at_least(shift_of.case, named, 0.9))
        seen = np.stack(compared[: max(1, peers.windows)])
        found += peers.alarms(shift_of.case, [(table, seen)])
    return found


def cost() -> list[Result]:
    """Processor time of the verdicts on a window of 20 signals."""
    rng = np.random.default_rng(4)
    decider = Decider(SignalReference(ABOUT, "made", window_of(made_rows(rng, REFERENCE_ROWS))))
    windows = [window_of(made_rows(rng, 1000)) for _ in range(21)]
    took = []
    for window in windows:
        began = time.process_time()
        decider.decide(ABOUT, window)
        took.append(time.process_time() - began)
    later = float(np.median(took[1:]))
    return [
        Result("first verdicts, seconds", took[0], SIGNALS),
        Result("later verdicts, seconds", later, SIGNALS, "<= 0.05", later <= 0.05),
    ]

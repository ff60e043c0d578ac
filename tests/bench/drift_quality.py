"""How often drift is called where there is none, and how often it is found where there is some.

    make bench BENCH=drift_quality ARGS="--data DIR"

DIR holds beijing-air, sst2, reviews and imdb; without it only made rows are used. The first run
lets the sentiment model answer some thousand texts and keeps that in --scratch. `--peers` puts
Evidently and NannyML, at their defaults and in environments of their own, beside it. Exit code 1
where a bound is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from drift_cases import ABOUT, SIGNALS, Station, made_rows, stations, text_window, window_of
from drift_texts import Answered, answered_texts
from rich.console import Console
from rich.table import Table

from drift.decision import Decider
from drift.impact import estimate_impact
from drift.signals import SignalReference, SignalWindow, feature
from drift.verdict import State

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("evidently", "nannyml")
_TELL_NOBODY = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
"""The peers would report to their makers that they are used."""
REFERENCE_ROWS = 20_000
WINDOWS_OF_A_REFERENCE = 50
SUMMER, WINTER = (6, 7, 8), (12, 1, 2)


@dataclass(frozen=True)
class Result:
    """One number beside its bound."""

    case: str
    value: float
    count: int
    """Windows, or estimates, that it is about."""
    bound: str = ""
    ok: bool = True


def at_most(case: str, values: Sequence[float], bound: float) -> Result:
    """A mean that should be small."""
    value = float(np.mean(values))
    return Result(case, value, len(values), f"<= {bound}", value <= bound)


def at_least(case: str, values: Sequence[float], bound: float) -> Result:
    """A mean that should be large."""
    value = float(np.mean(values))
    return Result(case, value, len(values), f">= {bound}", value >= bound)


def alarms(decider: Decider, window: SignalWindow) -> bool:
    """Whether anything is called drift."""
    return any(v.state is State.DRIFT for v in decider.decide(ABOUT, window))


class Peers:
    """Runs cases through the peers; their environments are made when first needed."""

    def __init__(self, wanted: bool, environments: Path) -> None:
        self._wanted = wanted
        self._environments = environments

    def alarms(self, case: str, reference: np.ndarray, windows: np.ndarray) -> list[Result]:
        """Share of the windows at which each alarms."""
        columns = {"reference": reference, "windows": windows}
        return [
            Result(f"{case}, {peer}", self._run(peer, columns)["alarms"], len(windows))
            for peer in (PEERS if self._wanted else ())
        ]

    def accuracies(self, outcomes: np.ndarray, windows: Sequence[np.ndarray]) -> list[float]:
        """NannyML's estimates; none without peers."""
        if not self._wanted:
            return []
        named = {f"window-{place:04}": window for place, window in enumerate(windows)}
        return list(self._run("nannyml", {"outcomes": outcomes, **named})["accuracies"])

    def _run(self, peer: str, columns: dict[str, np.ndarray]) -> dict:
        script = Path(__file__).parent / "peer_drift" / f"with_{peer}.py"
        with tempfile.TemporaryDirectory() as directory:
            case = Path(directory) / "case.npz"
            np.savez(case, **columns)
            python = self._environments / f"peer-{peer}" / "bin" / "python"
            done = subprocess.run(
                [python, script, case],
                env={**os.environ, **_TELL_NOBODY},
                capture_output=True,
                text=True,
            )
        if done.returncode:
            sys.exit(f"{peer} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


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
    compared = np.stack([made_rows(rng, rows) for _ in range(20)])
    return [at_most(case, found, 0.05), *peers.alarms(case, table, compared)]


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
    compared = np.stack([made_rows(rng, rows, deviations) for _ in range(20)])
    return [at_least(case, found, 0.95), *peers.alarms(case, table, compared)]


def air(every: Sequence[Station]) -> list[Result]:
    """Weeks of each station held out of its reference, of other stations, of another season."""
    rng = np.random.default_rng(1)
    own, others, seasons = [], [], []
    for station in every:
        held = rng.random(station.weeks) < 0.25
        decider = Decider(station.reference(np.flatnonzero(~held)))
        own += [alarms(decider, station.week(week)) for week in np.flatnonzero(held)]
        for other in every:
            if other is not station:
                weeks = rng.choice(np.flatnonzero(held), 5, replace=False)
                others += [alarms(decider, other.week(week)) for week in weeks]
        month = station.month[np.arange(station.weeks) * 168 + 84]
        decider = Decider(station.reference(np.flatnonzero(np.isin(month, SUMMER))))
        winter = rng.choice(np.flatnonzero(np.isin(month, WINTER)), 10, replace=False)
        seasons += [alarms(decider, station.week(week)) for week in winter]
    return [
        at_most("held-out weeks of a station", own, 0.05),
        at_least("winter weeks against summers", seasons, 0.9),
        at_least("weeks of another station", others, 0.9),
    ]


def mixes(texts: dict[str, Answered], windows: int, peers: Peers) -> list[Result]:
    """Foreign texts among those of the reference."""
    rng = np.random.default_rng(2)
    home = texts["sst2"]
    places = rng.permutation(len(home))
    half = len(home) // 2
    decider = Decider(SignalReference(ABOUT, "sst2", text_window(home.at(places[:half]))))
    rest = places[half:]

    def mixed(rows: int, share: float, foreign: Answered | None) -> Answered:
        many = round(rows * share)
        own = home.at(rng.choice(rest, rows - many, replace=False))
        if foreign is None:
            return own
        return own.plus(foreign.at(rng.choice(len(foreign), many, replace=False)))

    found = []
    for rows in (500, 1500):
        clean = [alarms(decider, text_window(mixed(rows, 0, None))) for _ in range(windows)]
        found.append(at_most(f"sst2 itself, n = {rows}", clean, 0.05))
    for rows, share in ((500, 0.2), (2000, 0.1)):
        for name in ("customer", "amazon-kitchen", "amazon-books"):
            if name in texts:
                made = [mixed(rows, share, texts[name]) for _ in range(windows)]
                case = f"{share:.0%} {name} in sst2, n = {rows}"
                hits = [alarms(decider, text_window(window)) for window in made]
                found.append(at_least(case, hits, 0.9))
                compared = np.stack([_columns(window) for window in made[:20]])
                found += peers.alarms(case, _columns(home.at(places[:half])), compared)
    return found


def _columns(answers: Answered) -> np.ndarray:
    """What a tool that knows tables gets: tokens, confidence, the projection."""
    confidence = answers.probabilities.max(axis=1)
    return np.column_stack([answers.tokens, confidence, answers.projection])


def accuracy(texts: dict[str, Answered], peers: Peers) -> list[Result]:
    """Estimates for each domain, by windows of 300 texts, from half of SST-2's own dev set."""
    rng = np.random.default_rng(3)
    dev = texts["sst2-dev"]
    places = rng.permutation(len(dev))
    known, rest = dev.at(places[: len(dev) // 2]), dev.at(places[len(dev) // 2 :])
    reference = SignalReference(ABOUT, "sst2 dev", text_window(known, labelled=True))
    domains = {"sst2-dev": rest} | {
        name: answers for name, answers in texts.items() if not name.startswith("sst2")
    }
    windows = {
        f"{name} {first}": answers.at(np.arange(first, first + 300))
        for name, answers in domains.items()
        for first in range(0, len(answers) - 299, 300)
    }
    ours, truths = [], []
    for window in windows.values():
        impact = estimate_impact(reference, text_window(window))
        if impact is None:
            raise RuntimeError("the reference knows its outcomes, yet nothing is estimated")
        ours.append(impact.accuracy.value)
        truths.append(float(window.right.mean()))
    errors = np.abs(np.array(ours) - truths)
    value = float(np.median(errors))
    found = [Result("accuracy, median error", value, len(errors), "<= 0.02", value <= 0.02)]
    for name in domains:
        chosen = [place for place, key in enumerate(windows) if key.rsplit(" ", 1)[0] == name]
        error = float(np.median(errors[chosen]))
        found.append(Result(f"accuracy, {name}, median error", error, len(chosen)))
    outcomes = np.column_stack(
        [_predicted(known), known.right == (known.probabilities[:, 1] > 0.5)]
    )
    theirs = peers.accuracies(outcomes, [_predicted(window) for window in windows.values()])
    if theirs:
        their_error = float(np.median(np.abs(np.array(theirs) - truths)))
        found.append(Result("accuracy, median error, nannyml CBPE", their_error, len(theirs)))
        bound = f"<= {their_error:.4f}"
        found.append(
            Result("accuracy, beside CBPE", value, len(errors), bound, value <= their_error)
        )
    return found


def _predicted(answers: Answered) -> np.ndarray:
    positive = answers.probabilities[:, 1]
    return np.column_stack([positive, positive > 0.5])


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


def main() -> None:
    """Reads the command line, runs what can be run, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="directory of the data sets")
    parser.add_argument("--scratch", type=Path, default=ROOT / ".venvs" / "drift-texts")
    parser.add_argument("--windows", type=int, default=1000, help="of no drift, by size")
    parser.add_argument("--repeats", type=int, default=100, help="windows of each shift")
    parser.add_argument("--peers", action="store_true", help="run Evidently and NannyML, too")
    parser.add_argument("--environments", type=Path, help="where the peers are installed already")
    parser.add_argument("--only", nargs="*", help="of: null, power, air, texts, accuracy, cost")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    arguments = parser.parse_args()
    environments = arguments.environments
    if arguments.peers and environments is None:
        program = ROOT / "requirements" / "environments.py"
        names = [f"peer-{peer}" for peer in PEERS]
        subprocess.run([sys.executable, program, "sync", *names], check=True)
    peers = Peers(arguments.peers, environments or ROOT / ".venvs")
    results = run(arguments, peers)
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    sys.exit(0 if all(result.ok for result in results) else 1)


def run(arguments: argparse.Namespace, peers: Peers) -> list[Result]:
    """All parts, or those that are asked for; parts without data are left out."""
    wanted = set(arguments.only or ("null", "power", "air", "texts", "accuracy", "cost"))
    data: Path | None = arguments.data
    results: list[Result] = []
    if "cost" in wanted:
        results += cost()
    if "power" in wanted:
        results += shift(1000, 0.2, arguments.repeats, peers)
        results += shift(5000, 0.1, arguments.repeats, peers)
    if "null" in wanted:
        for rows in (100, 1000, 10_000):
            results += no_drift(rows, arguments.windows, peers)
    if data is not None and "air" in wanted:
        results += air(stations(data / "beijing-air"))
    if data is not None and wanted & {"texts", "accuracy"}:
        texts = answered_texts(data, arguments.scratch)
        if "texts" in wanted:
            results += mixes(texts, arguments.repeats, peers)
        if "accuracy" in wanted:
            results += accuracy(texts, peers)
    return results


def show(results: Sequence[Result]) -> None:
    """A table for people."""
    table = Table("case", "share or value", "of", "bound", "")
    for result in results:
        verdict = ("ok" if result.ok else "MISSED") if result.bound else ""
        table.add_row(result.case, f"{result.value:.4f}", str(result.count), result.bound, verdict)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

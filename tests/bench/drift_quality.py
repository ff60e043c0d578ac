"""How often drift is called where there is none, and how often it is found where there is some.

    make bench BENCH=drift_quality ARGS="--data DIR --peers --quick"

DIR holds beijing-air, sst2, reviews and imdb; without it only made rows are used. The first run
lets the sentiment model answer some thousand texts and keeps that in --scratch. `--peers` puts
Evidently and NannyML, at their defaults and in environments of their own, beside it; `--quick` is a
rehearsal of three minutes whose figures are coarse. Exit code 1 where a bound is missed.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from drift_cases import ABOUT, SIGNALS, WEEK, Station, made_rows, stations, text_window, window_of
from drift_peers import PEERS, Peers
from drift_results import Result, at_least, at_most, show, write_json, write_picture
from drift_texts import Answered, answered_texts

from drift.decision import Decider
from drift.impact import estimate_impact
from drift.signals import SignalReference, SignalWindow, feature
from drift.verdict import State

ROOT = Path(__file__).resolve().parents[2]
REFERENCE_ROWS = 20_000
WINDOWS_OF_A_REFERENCE = 50
SUMMER, WINTER = (6, 7, 8), (12, 1, 2)
TEXTS = 300
"""Of a window whose accuracy is estimated."""


def alarms(decider: Decider, window: SignalWindow) -> bool:
    """Whether anything is called drift."""
    return any(v.state is State.DRIFT for v in decider.decide(ABOUT, window))


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


def air(every: Sequence[Station], peers: Peers) -> list[Result]:
    """Weeks of each station held out of its reference, of other stations, of another season."""
    rng = np.random.default_rng(1)
    found: dict[str, list[bool]] = {"own": [], "season": [], "other": []}
    compared: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in found}
    few = max(1, peers.windows // len(every))
    for place, station in enumerate(every):
        held = rng.random(station.weeks) < 0.25
        held_weeks = np.flatnonzero(held)
        decider = Decider(station.reference(np.flatnonzero(~held)))
        found["own"] += [alarms(decider, station.week(week)) for week in held_weeks]
        own_rows = _weeks(station, np.flatnonzero(~held)).reshape(-1, station.numbers.shape[1])
        compared["own"].append((own_rows, _weeks(station, held_weeks[:few])))
        for other in every:
            if other is not station:
                weeks = rng.choice(held_weeks, 5, replace=False)
                found["other"] += [alarms(decider, other.week(week)) for week in weeks]
        other = every[(place + 1) % len(every)]
        compared["other"].append((own_rows, _weeks(other, held_weeks[:few])))
        month = station.month[np.arange(station.weeks) * WEEK + WEEK // 2]
        summers = np.flatnonzero(np.isin(month, SUMMER))
        decider = Decider(station.reference(summers))
        winter = rng.choice(np.flatnonzero(np.isin(month, WINTER)), 10, replace=False)
        found["season"] += [alarms(decider, station.week(week)) for week in winter]
        summer_rows = _weeks(station, summers).reshape(-1, station.numbers.shape[1])
        compared["season"].append((summer_rows, _weeks(station, winter[:few])))
    own, season, other_station = (
        "held-out weeks of a station",
        "winter weeks against summers",
        "weeks of another station",
    )
    return [
        at_most(own, found["own"], 0.05),
        *peers.alarms(own, compared["own"]),
        at_least(season, found["season"], 0.9),
        *peers.alarms(season, compared["season"]),
        at_least(other_station, found["other"], 0.9),
        *peers.alarms(other_station, compared["other"]),
    ]


def _weeks(station: Station, weeks: Sequence[int]) -> np.ndarray:
    """[weeks, hours, columns] What a tool that knows tables gets."""
    return np.stack([station.numbers[week * WEEK : (week + 1) * WEEK] for week in weeks])


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
            foreign = texts.get(f"{name} held out")
            if foreign is not None and len(foreign) >= rows * share:
                made = [mixed(rows, share, foreign) for _ in range(windows)]
                case = f"{share:.0%} {name} in sst2, n = {rows}"
                hits = [alarms(decider, text_window(window)) for window in made]
                found.append(at_least(case, hits, 0.9))
                compared = np.stack([_columns(window) for window in made[: peers.windows]])
                found += peers.alarms(case, [(_columns(home.at(places[:half])), compared)])
    return found


def _columns(answers: Answered) -> np.ndarray:
    """What a tool that knows tables gets: tokens, confidence, the projection."""
    confidence = answers.probabilities.max(axis=1)
    return np.column_stack([answers.tokens, confidence, answers.projection])


def accuracy(texts: Mapping[str, Answered], peers: Peers) -> list[Result]:
    """Estimates for windows of each domain, of rows that nobody learnt from.

    With half of each domain as the reference, as the package's own has, and with half of SST-2's
    alone: texts of every other domain are new then.
    """
    rng = np.random.default_rng(3)
    known, windows = {}, {}
    for name, answers in texts.items():
        if not name.endswith(" held out"):
            continue
        places = rng.permutation(len(answers))
        half = len(answers) // 2
        known[name] = answers.at(places[:half])
        rest = places[half:]
        for part in np.array_split(rest, max(1, len(rest) // TEXTS)):
            windows[f"{name} {part[0]}"] = answers.at(part)
    whole = next(iter(known.values()))
    for name in list(known)[1:]:
        whole = whole.plus(known[name])
    # In one order: NannyML takes rows as they came.
    whole = whole.at(rng.permutation(len(whole)))
    return [
        *_estimates("accuracy, domains known", whole, windows, peers),
        *_estimates("accuracy, SST-2 known", known["sst2 held out"], windows, peers),
    ]


def _estimates(
    case: str, known: Answered, windows: Mapping[str, Answered], peers: Peers
) -> list[Result]:
    reference = SignalReference(ABOUT, "known", text_window(known, labelled=True))
    ours = []
    for window in windows.values():
        impact = estimate_impact(reference, text_window(window))
        if impact is None:
            raise RuntimeError("the reference knows its outcomes, yet nothing is estimated")
        ours.append(impact.accuracy.value)
    truths = np.array([window.right.mean() for window in windows.values()])
    outcomes = np.column_stack(
        [_predicted(known), known.right == (known.probabilities[:, 1] > 0.5)]
    )
    theirs = peers.accuracies(outcomes, [_predicted(window) for window in windows.values()])
    error = float(np.median(np.abs(np.array(ours) - truths)))
    found = [Result(f"{case}, median error", error, len(ours), "<= 0.02", error <= 0.02)]
    if theirs:
        error = float(np.median(np.abs(np.array(theirs) - truths)))
        found.append(Result(f"{case}, median error", error, len(ours), tool=PEERS["nannyml"]))
    for domain in dict.fromkeys(name.rsplit(" ", 1)[0] for name in windows):
        chosen = [place for place, name in enumerate(windows) if name.startswith(domain)]
        for tool, values in (("Weir", ours), (PEERS["nannyml"], theirs)):
            if values:
                off = float(np.mean([values[place] - truths[place] for place in chosen]))
                found.append(Result(f"{case}, {domain}, bias", off, len(chosen), tool=tool))
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
    parser.add_argument("--quick", action="store_true", help="few windows: a rehearsal")
    parser.add_argument("--peers", action="store_true", help="run Evidently and NannyML, too")
    parser.add_argument("--environments", type=Path, help="where the peers are installed already")
    parser.add_argument("--only", nargs="*", help="of: null, power, air, texts, accuracy, cost")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--picture", type=Path, help="SVG file to draw the results into")
    arguments = parser.parse_args()
    environments = arguments.environments or ROOT / ".venvs"
    if arguments.peers and arguments.environments is None:
        program = ROOT / "requirements" / "environments.py"
        names = [f"peer-{peer}" for peer in PEERS]
        subprocess.run([sys.executable, program, "sync", *names], check=True)
    peers = Peers(environments if arguments.peers else None, 3 if arguments.quick else 20)
    results = run(arguments, peers)
    show(results)
    if arguments.json:
        write_json(results, arguments.json)
    if arguments.picture:
        write_picture(results, arguments.picture)
    sys.exit(0 if all(result.ok for result in results) else 1)


def run(arguments: argparse.Namespace, peers: Peers) -> list[Result]:
    """All parts, or those that are asked for; parts without data are left out."""
    wanted = set(arguments.only or ("null", "power", "air", "texts", "accuracy", "cost"))
    data: Path | None = arguments.data
    quick = arguments.quick
    windows, repeats = (60, 20) if quick else (1000, 100)
    results: list[Result] = []
    if "cost" in wanted:
        results += cost()
    if "power" in wanted:
        results += shift(1000, 0.2, repeats, peers)
        results += shift(5000, 0.1, repeats, peers)
    if "null" in wanted:
        for rows in (100, 1000, 10_000):
            results += no_drift(rows, windows, peers)
    if data is not None and "air" in wanted:
        results += air(stations(data / "beijing-air", 2 if quick else None), peers)
    if data is not None and wanted & {"texts", "accuracy"}:
        few = {"home": 2500, "most": 200} if quick else {}
        texts = answered_texts(data, arguments.scratch, **few)
        if "texts" in wanted:
            results += mixes(texts, repeats, peers)
        if "accuracy" in wanted:
            results += accuracy(texts, peers)
    return results


if __name__ == "__main__":
    main()

"""Drift of reviews: foreign ones mixed in, and the accuracy that is estimated without labels."""

from collections.abc import Mapping

import numpy as np
from drift_cases import ABOUT, alarms, text_window
from drift_peers import PEERS, Peers
from drift_results import Result, at_least, at_most
from drift_texts import Answered

from drift.decision import Decider
from drift.impact import estimate_impact
from drift.signals import SignalReference

TEXTS = 300
"""Of a window whose accuracy is estimated."""


def mixes(texts: dict[str, Answered], windows: int, peers: Peers) -> list[Result]:
    """Foreign texts among those of the reference."""
    rng = np.random.default_rng(2)
    home = texts["sst2"]
    places = rng.permutation(len(home))
    half = len(home) // 2
    decider = Decider(SignalReference(ABOUT, "SST-2", text_window(home.at(places[:half]))))
    rest = places[half:]

    def mixed(rows: int, share: float, foreign: Answered | None) -> Answered:
        many = round(rows * share)
        own = home.at(rng.choice(rest, rows - many, replace=False))
        if foreign is None:
            return own
        return own.plus(foreign.at(rng.choice(len(foreign), many, replace=False)))

    found = []
    # Windows that share most of their rows would say little.
    sizes = [size for size in ((500, 0.2), (2000, 0.1)) if 2 * size[0] <= len(rest)]
    for rows, _ in sizes:
        made = [mixed(rows, 0, None) for _ in range(windows)]
        case = f"SST-2 itself, n = {rows}"
        found.append(at_most(case, [alarms(decider, text_window(each)) for each in made], 0.05))
        compared = np.stack([_columns(each) for each in made[: max(1, peers.windows)]])
        found += peers.alarms(case, [(_columns(home.at(places[:half])), compared)])
    for rows, share in sizes:
        for name in ("customer", "amazon-kitchen", "amazon-books"):
            foreign = texts.get(f"{name} held out")
            if foreign is not None and len(foreign) >= rows * share:
                made = [mixed(rows, share, foreign) for _ in range(windows)]
                case = f"{100 * share:.0f} % {name} in SST-2, n = {rows}"
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

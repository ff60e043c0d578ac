"""Drift of hourly air: weeks of a station, of another season, of another station."""

from collections.abc import Sequence

import numpy as np
from drift_cases import WEEK, Station, alarms
from drift_peers import Peers
from drift_results import Result, at_least, at_most

from drift.decision import Decider

SUMMER, WINTER = (6, 7, 8), (12, 1, 2)


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

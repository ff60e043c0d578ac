"""Whether one model is better than another on the same rows, or only looks so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.evaluation_rows import Rows
from training.figures import SIGNS, Answers, Figure, Resampled, resampled
from training.probabilities import Logits
from training.resampling import Bootstrap, mcnemar_p


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model's logits (before the temperature, ``[rows, labels]``), and what describes it."""

    description: Mapping[str, Any]
    logits: Logits
    temperature: float


def compare(
    rows: Rows, answers: Answers, overall: Resampled, against: Candidate, bootstrap: Bootstrap
) -> dict[str, Any]:
    """What the answers of two models to the same rows differ in.

    Each figure's difference is taken in every resample: rows that both find hard cancel out.
    """
    other = Answers(against.logits, rows.labels, against.temperature)
    theirs = resampled(other.figures, bootstrap)
    reason = answers.missing(None, rows.names)
    differences = overall.minus(theirs)
    only_this = int((answers.hits > other.hits).sum())
    only_other = int((answers.hits < other.hits).sum())
    return {
        "model": dict(against.description),
        "metrics": theirs.fields(reason),
        "difference": {
            name: {**fields, "verdict": verdict(differences.figure(name), SIGNS[name])}
            for name, fields in differences.fields(reason).items()
        },
        "only_this_right": only_this,
        "only_other_right": only_other,
        "agreement": float((answers.predicted == other.predicted).mean()),
        "mcnemar_p": mcnemar_p(only_this, only_other),
    }


def verdict(difference: Figure, sign: int) -> str:
    """``better`` or ``worse`` where the interval of the difference leaves 0 out, else ``open``."""
    interval = difference.interval
    if interval is None or interval.low <= 0 <= interval.high:
        return "open"
    return "better" if interval.low * sign > 0 else "worse"

"""Evaluates a model's answers to held-out rows: everything that ``evaluation.json`` says.

The document is plain data and holds no text of any row. Its keys are told in the README.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from training.calibration import calibrate, fitting_half
from training.classification_scores import confusion, roc_curve
from training.evaluation_rows import Chosen, Rows, by_source, slices
from training.figures import SIGNS, Answers, Figure, Resampled, resampled
from training.model_comparison import Candidate, compare
from training.probabilities import Floats
from training.reliability import BINS, calibration_error, reliability
from training.resampling import LEVEL, Bootstrap, wilson_interval

FORMAT = 1
# A ROC curve of thousands of steps looks the same with so many points.
CURVE_POINTS = 200
HISTOGRAM_BINS = 20


def evaluate_answers(
    rows: Rows, candidate: Candidate, bootstrap: Bootstrap, against: Candidate | None = None
) -> dict[str, Any]:
    """The document without ``data`` and ``created_at``, which only the caller knows."""
    answers = Answers(candidate.logits, rows.labels, candidate.temperature)
    overall = resampled(answers.figures, bootstrap)
    by_label = resampled(answers.label_figures, bootstrap)
    return {
        "format": FORMAT,
        "model": dict(candidate.description),
        "settings": {
            "level": LEVEL,
            "resamples": bootstrap.resamples,
            "seed": bootstrap.seed,
            "bins": BINS,
        },
        "metrics": overall.fields(answers.missing(None, rows.names)),
        "mean_over_sources": _mean_over_sources(rows, candidate, bootstrap),
        "labels": _labels(rows, answers, by_label),
        "confusion": confusion(rows.labels, answers.predicted, answers.classes)
        .astype(int)
        .tolist(),
        "reliability": {
            "equal_width": [asdict(of) for of in reliability(answers.confidences, answers.hits)],
            "equal_mass": [
                asdict(of) for of in reliability(answers.confidences, answers.hits, "mass")
            ],
        },
        "roc": _curves(rows, answers),
        "confidence": _histogram(answers),
        "slices": [_slice(by, name, places, rows, candidate) for by, name, places in slices(rows)],
        "calibration": _calibration(rows, candidate, answers),
        "against": None if against is None else compare(rows, answers, overall, against, bootstrap),
    }


def _mean_over_sources(
    rows: Rows, candidate: Candidate, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    parts = [
        (places, Answers(candidate.logits[places], rows.labels[places], candidate.temperature))
        for _, _, places in by_source(rows)
    ]
    if len(parts) == 1:
        return None

    def mean(weights: Floats) -> dict[str, Floats]:
        figures = [of.figures(weights[:, places]) for places, of in parts]
        return {name: np.mean([of[name] for of in figures], axis=0) for name in SIGNS}

    means = resampled(mean, bootstrap)
    return means.fields("a source lacks rows of a label")


def _labels(rows: Rows, answers: Answers, by_label: Resampled) -> list[dict[str, Any]]:
    known, said = Counter(rows.labels.tolist()), Counter(answers.predicted.tolist())
    described = []
    for label, name in enumerate(rows.names):
        absent = f"no row has the label {name}"
        reasons = {
            "precision": f"no row was predicted as {name}",
            "recall": absent,
            "f1": f"{absent} or was predicted so",
            "roc_auc": answers.missing(label, rows.names),
        }
        figures = {
            figure: by_label.figure(figure, reason, label).fields()
            for figure, reason in reasons.items()
        }
        described.append({"label": name, "rows": known[label], "predicted": said[label], **figures})
    return described


def _curves(rows: Rows, answers: Answers) -> list[dict[str, Any]]:
    """One curve for two labels, else one a label; none for a label without rows, or alone."""
    wanted = [1] if answers.classes == 2 else range(answers.classes)
    curves = []
    for label in wanted:
        positive = (rows.labels == label).astype(np.float64)
        if 0 < positive.sum() < len(positive):
            alarms, hits = roc_curve(positive, answers.probabilities[:, label])
            kept = np.unique(np.linspace(0, len(hits) - 1, CURVE_POINTS).astype(int))
            points = np.stack([alarms[kept], hits[kept]], axis=1).round(5).tolist()
            curves.append({"label": rows.names[label], "points": points})
    return curves


def _histogram(answers: Answers) -> list[dict[str, Any]]:
    edges = np.linspace(1 / answers.classes, 1, HISTOGRAM_BINS + 1)
    right, wrong = (
        np.histogram(answers.confidences[answers.hits == hit].clip(edges[0], 1), edges)[0].tolist()
        for hit in (1, 0)
    )
    return [
        {"low": float(edges[place]), "high": float(edges[place + 1]), "right": r, "wrong": w}
        for place, (r, w) in enumerate(zip(right, wrong, strict=True))
    ]


def _slice(by: str, name: str, places: Chosen, rows: Rows, candidate: Candidate) -> dict[str, Any]:
    answers = Answers(candidate.logits[places], rows.labels[places], candidate.temperature)
    figures = answers.figures(np.ones((1, len(places))))
    share = wilson_interval(float(answers.hits.sum()), len(places))
    accuracy = Figure(float(figures["accuracy"][0]), share)
    return {
        "by": by,
        "name": name,
        "rows": len(places),
        "accuracy": accuracy.fields(),
        # Of rows of one label, F1 says nothing that accuracy does not.
        "macro_f1": None if by == "label" else float(figures["macro_f1"][0]),
        "log_loss": float(figures["log_loss"][0]),
        "ece": float(figures["ece"][0]),
        "mean_confidence": float(answers.confidences.mean()),
    }


def _calibration(rows: Rows, candidate: Candidate, answers: Answers) -> dict[str, Any]:
    """The temperature in use, on the rows that no temperature was fitted on, and a fitted one."""
    others = ~fitting_half(rows.texts)
    fitted = calibrate(candidate.logits, rows.labels, rows.texts, rows.sources)
    return {
        "temperature": candidate.temperature,
        "other_half": {
            "rows": int(others.sum()),
            "ece": calibration_error(answers.confidences[others], answers.hits[others])
            if others.any()
            else None,
        },
        "fitted": None if fitted is None else asdict(fitted),
    }

"""``evaluation.html``: what ``evaluation.json`` says, for people; one file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from training.evaluation_plots import (
    confidence_plot,
    confusion_plot,
    reliability_plot,
    roc_plot,
    slices_plot,
)
from training.page_style import STYLE

METRICS = {
    "accuracy": ("Accuracy", "share of right answers; higher is better"),
    "macro_f1": ("Macro F1", "mean over labels of 2·TP / (2·TP + FP + FN); higher is better"),
    "roc_auc": ("ROC-AUC", "chance that a right row scores above a wrong one; higher is better"),
    "log_loss": ("Log loss", "−ln of the true label's probability, mean; lower is better"),
    "brier": ("Brier score", "squared distance to the truth, over labels; lower is better"),
    "ece": ("ECE", "calibration error, 15 bins of equal width; lower is better"),
    "ece_equal_mass": ("ECE, equal mass", "the same with equally many rows in each bin"),
}
VERDICTS = {"better": "better", "worse": "worse", "open": "no difference shown"}

Document = Mapping[str, Any]


def evaluation_page(document: Document) -> str:
    """Render the page from the document alone, so that the two cannot differ."""
    model, data = document["model"], document["data"]
    title = f"{_name(model)} on {data['name']} {data['split']}"
    labels = [of["label"] for of in document["labels"]]
    settings = document["settings"]
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{data['rows']} rows of {', '.join(map(escape, data['sources']))}; "
        f"{escape(document['created_at'])}. Intervals hold the middle 95 % of "
        f"{settings['resamples']} resamples of the rows within their source "
        f"(seed {settings['seed']}).</p>",
        _comparison(document["against"]) if document["against"] else "",
        "<h2>Figures</h2>",
        _metrics_table(document),
        "<h2>Plots</h2>",
        '<div class="plots">',
        _figure(
            reliability_plot(document["reliability"]["equal_width"]),
            "Reliability: on the dashed line, answers are as sure as they are right; below it, "
            "too sure. Numbers are rows.",
        ),
        _figure(
            confidence_plot(document["confidence"]),
            "Confidence: the probability of the predicted label. Wrong answers at the right end "
            "are those that nobody will doubt.",
        ),
        _figure(
            confusion_plot(document["confusion"], labels),
            "Confusion: rows by true and predicted label, with the share of the true label.",
        ),
        _figure(roc_plot(document["roc"]), "ROC: every threshold of the probability at once.")
        if document["roc"]
        else "",
        _figure(
            slices_plot(document["slices"], document["metrics"]["accuracy"]),
            "Accuracy by source, length in tokens and label, with Wilson intervals; the dashed "
            "line is the accuracy of all rows.",
        ),
        "</div>",
        "<h2>Labels</h2>",
        _labels_table(document["labels"]),
        "<h2>Parts of the rows</h2>",
        _slices_table(document["slices"]),
        "<h2>Calibration</h2>",
        _calibration(document["calibration"]),
        "<h2>What was measured</h2>",
        _facts(model, data),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        + "\n".join(filter(None, sections))
        + "</body></html>\n"
    )


def _name(model: Document) -> str:
    version = f" {model['version']}" if model["version"] else ""
    return f"{model['name']}{version} ({model['graph']})"


def _metrics_table(document: Document) -> str:
    means = document["mean_over_sources"]
    head = ["figure", "all rows", *(["mean over sources"] if means else []), "meaning"]
    rows = [
        [
            escape(name),
            _interval(document["metrics"][key]),
            *([_interval(means[key])] if means else []),
            escape(meaning),
        ]
        for key, (name, meaning) in METRICS.items()
    ]
    return _table(head, rows)


def _comparison(against: Document) -> str:
    verdict = against["difference"]["accuracy"]["verdict"]
    said = {
        "better": "is more accurate than",
        "worse": "is less accurate than",
        "open": "is not shown to differ in accuracy from",
    }
    rows = [
        [
            escape(METRICS[key][0]),
            _number(against["metrics"][key]["value"]),
            _interval(difference, "+.4f"),
            f'<span class="{difference["verdict"]}">{VERDICTS[difference["verdict"]]}</span>',
        ]
        for key, difference in against["difference"].items()
    ]
    return (
        f"<h2>Against {escape(_name(against['model']))}</h2>"
        f'<p><span class="{verdict}">This model {said[verdict]} the other.</span> '
        f"{against['only_this_right']} rows only this one has right, "
        f"{against['only_other_right']} only the other (McNemar p = "
        f"{against['mcnemar_p']:.3g}); they agree on {against['agreement']:.1%}. A difference is "
        "shown where its interval leaves 0 out.</p>"
        + _table(["figure", "the other", "this minus the other", "so this one is"], rows)
    )


def _labels_table(labels: Sequence[Document]) -> str:
    figures = ("precision", "recall", "f1", "roc_auc")
    rows = [
        [
            escape(of["label"]),
            f"{of['rows']}",
            f"{of['predicted']}",
            *(_interval(of[figure]) for figure in figures),
        ]
        for of in labels
    ]
    return _table(["label", "rows", "predicted", "precision", "recall", "F1", "ROC-AUC"], rows)


def _slices_table(slices: Sequence[Document]) -> str:
    figures = ("macro_f1", "log_loss", "ece", "mean_confidence")
    rows = [
        [
            escape(of["by"]),
            escape(of["name"]),
            f"{of['rows']}",
            _interval(of["accuracy"]),
            *(_number(of[figure]) for figure in figures),
        ]
        for of in slices
    ]
    head = ["by", "part", "rows", "accuracy", "macro F1", "log loss", "ECE", "mean confidence"]
    return _table(head, rows) + "<p>The ECE of few rows is too high by chance alone.</p>"


def _calibration(calibration: Document) -> str:
    other, fitted = calibration["other_half"], calibration["fitted"]
    text = f"<p>Logits were divided by the temperature {calibration['temperature']:g}. "
    if other["ece"] is not None:
        text += (
            f"On the {other['rows']} rows that no temperature is ever fitted on (half of all, by a "
            f"hash of the text), the ECE is {other['ece']:.4f}."
        )
    if fitted is None:
        return text + "</p><p>These are too few rows to fit a temperature and judge it.</p>"
    best = fitted["temperature"]
    text += f"</p><p>Fitted on the other {best['rows']} rows, the best temperature is "
    text += f"{best['value']:g}. " if best["determined"] else "not determined by them (1). "
    names = {
        "temperature": "the rows it was fitted on",
        "held_out": "the other half",
        "cross_fitted": "all rows, each half with the temperature of the other",
    }
    keys = ("log_loss_before", "log_loss_after", "ece_before", "ece_after")
    rows = [
        [name, f"{fitted[part]['rows']}", *(_number(fitted[part][key]) for key in keys)]
        for part, name in names.items()
    ]
    head = ["judged on", "rows", "log loss without", "with", "ECE without", "with"]
    return text + "Sources count the same, however many rows they have.</p>" + _table(head, rows)


def _facts(model: Document, data: Document) -> str:
    facts = {**model, "data SHA-256": data["sha256"]}
    rows = [[escape(key), f"<code>{escape(str(value))}</code>"] for key, value in facts.items()]
    note = ""
    if data["split"] == "dev":
        note += (
            "<p>Rows of the split dev also chose the best weights of the training: expect slightly "
            "less on new texts of the same kind.</p>"
        )
    if model["trained_on_sha256"] != data["sha256"]:
        note += (
            "<p>The model was trained on other data than what these rows are a split of: rows that "
            "it has learned from would flatter it.</p>"
        )
    return _table(["", ""], rows) + note


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"


def _interval(figure: Document, style: str = ".4f") -> str:
    if figure["value"] is None:
        return f"– ({escape(figure['reason'])})"
    if figure["low"] is None:
        return f"{figure['value']:{style}}"
    return f"{figure['value']:{style}} ({figure['low']:{style}} to {figure['high']:{style}})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return f'<div class="wide"><table><tr>{titles}</tr>{"".join(lines)}</table></div>'

"""The plots of an evaluation, each from its part of ``evaluation.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.svg import Drawing, Scale, ticks_between

WIDTH = 480
LEFT, RIGHT, TOP = 48, 468, 12
COLOURS = 6

Part = Mapping[str, Any]


def reliability_plot(bins: Sequence[Part]) -> str:
    """Accuracy by confidence against the diagonal, and below it the rows of each bin."""
    filled = [found for found in bins if found["rows"]]
    drawing = Drawing(WIDTH, 400, "Reliability diagram: accuracy of each bin of confidence")
    x = Scale(filled[0]["low"], 1, LEFT, RIGHT)
    y, most = Scale(0, 1, 270, TOP), max(found["rows"] for found in filled)
    drawing.y_axis(y, LEFT, ticks_between(0, 1), RIGHT)
    counts = Scale(0, most, 350, 300)
    for found in filled:
        left, right = x(found["low"]), x(found["high"])
        width = max(right - left - 2, 1)
        tip = f"{found['rows']} rows: accuracy {found['accuracy']:.3f}, confidence "
        tip += f"{found['confidence']:.3f}"
        drawing.box(left + 1, y(found["accuracy"]), width, 270 - y(found["accuracy"]), "fill0",
                    0.55, tip)  # fmt: skip
        drawing.box(left + 1, counts(found["rows"]), width, 350 - counts(found["rows"]), "quiet")
        if right - left > 26:
            drawing.text((left + right) / 2, counts(found["rows"]) - 4, f"{found['rows']}",
                         anchor="middle")  # fmt: skip
    drawing.line([(x(x.low), y(x.low)), (x(1), y(1))], "ideal")
    for found in filled:
        drawing.dot(x(found["confidence"]), y(found["accuracy"]), "dot0")
    drawing.x_axis(x, 350, ticks_between(x.low, 1), "confidence (bars below: rows)")
    return str(drawing)


def confusion_plot(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """Rows by true and predicted label, shaded by the share of the true label's rows."""
    size = max(34, min(110, 330 // len(labels)))
    left, top = 120, 40
    width, height = left + size * len(labels) + 10, top + size * len(labels) + 14
    drawing = Drawing(max(width, 300), height, "Confusion matrix: true label by predicted label")
    drawing.text(left, 14, "predicted →   true ↓", "name")
    for true, (row, label) in enumerate(zip(matrix, labels, strict=True)):
        y = top + true * size
        drawing.text(left - 8, y + size / 2 + 4, _short(label), anchor="end")
        drawing.text(left + (true + 0.5) * size, top - 6, _short(label), anchor="middle")
        for said, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0.0
            x = left + said * size
            kind = "fill0" if said == true else "fill1"
            tip = f"{label} predicted as {labels[said]}: {count} ({share:.1%})"
            drawing.box(x + 1, y + 1, size - 2, size - 2, kind, 0.08 + 0.5 * share, tip)
            drawing.text(x + size / 2, y + size / 2, f"{count}", "count", "middle")
            drawing.text(x + size / 2, y + size / 2 + 15, f"{share:.0%}", "name", "middle")
    return str(drawing)


def roc_plot(curves: Sequence[Part]) -> str:
    """True against false positive rate for every threshold; one curve a label above two."""
    drawing = Drawing(WIDTH, 400 + 18 * len(curves), "ROC curve")
    x, y = Scale(0, 1, LEFT, 400), Scale(0, 1, 352, TOP)
    drawing.y_axis(y, LEFT, ticks_between(0, 1), 400)
    drawing.line([(x(0), y(0)), (x(1), y(1))], "ideal")
    for place, curve in enumerate(curves):
        points = [(x(alarms), y(hits)) for alarms, hits in curve["points"]]
        drawing.line(points, f"line{place % COLOURS}")
        drawing.box(LEFT, 396 + 18 * place, 12, 12, f"fill{place % COLOURS}")
        drawing.text(LEFT + 18, 406 + 18 * place, f"{curve['label']} against the rest")
    drawing.x_axis(x, 352, ticks_between(0, 1), "false positive rate (upwards: true positive rate)")
    return str(drawing)


def slices_plot(slices: Sequence[Part], overall: Part) -> str:
    """Accuracy of each part of the rows with its interval; the dashed line is that of all rows."""
    left, right, step = 200, 400, 24
    height = TOP + step * (len(slices) + 1)
    drawing = Drawing(WIDTH, height + 44, "Accuracy by part of the rows, with 95 % intervals")
    lowest = min(of["accuracy"]["low"] for of in slices)
    x = Scale(int(lowest * 10) / 10, 1, left, right)
    for tick in ticks_between(x.low, 1):
        drawing.line([(x(tick), TOP), (x(tick), height)], "grid")
    drawing.line([(x(overall["value"]), TOP), (x(overall["value"]), height)], "ideal")
    for place, of in enumerate(slices):
        y, accuracy = TOP + step * (place + 0.9), of["accuracy"]
        name = f"{_short(of['name'], 20)} ({of['rows']})"
        drawing.text(left - 8, y + 4, name, anchor="end")
        drawing.line([(x(accuracy["low"]), y), (x(accuracy["high"]), y)], "line0")
        tip = f"{of['by']} {of['name']}: {accuracy['value']:.4f}"
        drawing.dot(x(accuracy["value"]), y, "dot0", tip)
        drawing.text(right + 12, y + 4, f"{accuracy['value']:.3f}")
    drawing.x_axis(x, height, ticks_between(x.low, 1, 5), "accuracy")
    return str(drawing)


def confidence_plot(bins: Sequence[Part]) -> str:
    """How many answers of each confidence were right and wrong, one on the other."""
    drawing = Drawing(WIDTH, 340, "Histogram of confidence, right and wrong answers")
    x = Scale(bins[0]["low"], 1, LEFT, RIGHT)
    y = Scale(0, max(of["right"] + of["wrong"] for of in bins) or 1, 260, TOP)
    drawing.y_axis(y, LEFT, ticks_between(0, y.high), RIGHT)
    for of in bins:
        left, width = x(of["low"]), max(x(of["high"]) - x(of["low"]) - 1, 1)
        middle, top = y(of["wrong"]), y(of["wrong"] + of["right"])
        tip = f"{of['low']:.3f} to {of['high']:.3f}: {of['right']} right, {of['wrong']} wrong"
        drawing.box(left, middle, width, 260 - middle, "fill1", 0.9, tip)
        drawing.box(left, top, width, middle - top, "fill0", 0.55, tip)
    drawing.x_axis(x, 260, ticks_between(x.low, 1), "confidence")
    for place, (kind, name) in enumerate((("fill0", "right"), ("fill1", "wrong"))):
        drawing.box(LEFT + 80 * place, 310, 12, 12, kind, 0.9 if place else 0.55)
        drawing.text(LEFT + 80 * place + 18, 320, name)
    return str(drawing)


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"

"""Golden examples: texts of our own with the answers that a loaded package must repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from training.domain import ExportError, Prediction

# Chosen for what can go wrong between a tokenizer and a graph: length, case, accents, scripts
# without spaces, unknown characters, digits, markup, and texts that must be cut.
CANDIDATES = (
    "I loved every minute of it.",
    "A dull, lifeless mess that wasted my evening.",
    "Great!",
    "Terrible.",
    "The cast is wonderful, but nothing in the second half makes sense.",
    "NOT GOOD. NOT GOOD AT ALL!!!",
    "It isn't bad; in fact, it's rather charming...",
    "A naïve, touching and beautiful tale told over café crème — très, très good!",
    "Best night out in years 😀🎬🍿",
    "Broken on arrival 😡😡 and nobody ever answered.",
    "这部电影非常精彩",
    "とても退屈な映画でした。",
    "Скучно. Boring beyond words.",
    "10/10 — would watch again (and again, and again).",
    "0 stars; 2 hours & $14.50 that I will never get back",
    "<p>The sound was awful &amp; the seats were worse</p>",
    "   spaces   everywhere \t and a tab,\nand a new line: still a joy   ",
    "supercalifragilistic-wonderful-delightful-hyphens",
    "What a wonderful, moving and beautiful film; I loved every scene of it. " * 25,
    "What a stupid, boring and ugly film; I hated every scene of it. " * 25,
)
FEWEST = len(CANDIDATES) // 2
DECIMALS = 6

Predict = Callable[[str], Prediction]


def golden_text(
    predict: Predict, noisy: Sequence[Predict], labels: Sequence[str], tolerance: float
) -> str:
    """Answer the candidates with ``predict`` and return the content of ``golden.jsonl``.

    Kept are those whose probabilities move by at most a quarter of ``tolerance`` in every one of
    ``noisy``: a self-test must not fail on another CPU for a float sum taken in another order.
    Raises ExportError when fewer than half of the candidates are that steady.
    """
    rows = []
    for text in CANDIDATES:
        answer = predict(text).probabilities
        if all(_distance(answer, other(text).probabilities) <= tolerance / 4 for other in noisy):
            rounded = [round(probability, DECIMALS) for probability in answer]
            row = {"text": text, "probabilities": dict(zip(labels, rounded, strict=True))}
            rows.append(json.dumps(row, ensure_ascii=False))
    if len(rows) < FEWEST:
        raise ExportError(f"only {len(rows)} of {len(CANDIDATES)} golden examples are steady")
    return "\n".join(rows) + "\n"


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))

"""The drift reference: what the model's inputs and outputs looked like before it served.

Distributions are kept as sketches and sums, so that no text of the data is in the package.
"""

from __future__ import annotations

import base64
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from datasketches import kll_floats_sketch

from training.domain import Prediction

# The accuracy of the quantile sketch: at 200, ranks are right to about 1.3 % (Karnin, Lang and
# Liberty, "Optimal Quantile Approximation in Streams", 2016).
SKETCH_K = 200


def reference_text(
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    *,
    model: str,
    version: str,
    source: str,
) -> str:
    """Describe the predictions on ``source`` (a data set and split): ``reference.json``'s content.

    The sketches compact at random: two references of the same rows differ in bytes, not in worth.
    """
    counts = Counter(labels[prediction.label] for prediction in predictions)
    content = {
        "format": 1,
        "model": model,
        "model_version": version,
        "source": source,
        "rows": len(predictions),
        "signals": {
            "input_tokens": _number([float(p.input_tokens) for p in predictions]),
            "confidence": _number([p.confidence for p in predictions]),
            "unknown_token_rate": _unknown_token_rate(predictions),
            "label": {"kind": "category", "counts": {label: counts[label] for label in labels}},
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _number(values: Sequence[float]) -> dict[str, Any]:
    sketch = kll_floats_sketch(SKETCH_K)
    for value in values:
        sketch.update(value)
    return {
        "kind": "number",
        "kll": base64.b64encode(sketch.serialize()).decode("ascii"),
        "rows": len(values),
        "mean": statistics.fmean(values),
        # Unbiased; a single row has no variance to estimate.
        "variance": statistics.variance(values) if len(values) > 1 else 0.0,
        "minimum": min(values),
        "maximum": max(values),
    }


def _unknown_token_rate(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Sums over rows that a ratio estimator and its variance need (u unknown of t tokens)."""
    rows = [(p.unknown_tokens, p.input_tokens - p.special_tokens) for p in predictions]
    return {
        "kind": "ratio",
        "unknown_tokens": sum(u for u, _ in rows),
        "tokens": sum(t for _, t in rows),
        "rows": len(rows),
        "sum_unknown_squared": sum(u * u for u, _ in rows),
        "sum_tokens_squared": sum(t * t for _, t in rows),
        "sum_unknown_times_tokens": sum(u * t for u, t in rows),
    }

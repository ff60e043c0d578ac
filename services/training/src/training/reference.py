"""The drift reference: what the model's inputs and outputs looked like before it served.

Distributions are kept as sketches, sums and bounded samples, so that no text of the data is in the
package.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from datasketches import kll_floats_sketch

from measures.scripts import dominant, letters_by_script
from training.domain import Example, Prediction
from training.reliability import reliability

FORMAT = 2
# The accuracy of the quantile sketch: at 400, ranks are right to about 0.7 % (Karnin, Lang and
# Liberty, "Optimal Quantile Approximation in Streams", 2016).
SKETCH_K = 400
# Rows of the projection that are kept, and different inputs that are told apart exactly.
SAMPLE_ROWS = 2048
DISTINCT = 4096
SAMPLE_SEED = 20261121


def reference_text(
    predictions: Sequence[Prediction],
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    model: str,
    version: str,
    source: str,
) -> str:
    """Describe the predictions on ``examples``: ``reference.json``'s content.

    ``source`` names the data set and split. Sketches compact at random and hashes have a key of
    their own: two references of the same rows differ in bytes, not in worth.
    """
    content = {
        "format": FORMAT,
        "model": model,
        "model_version": version,
        "source": source,
        "rows": len(predictions),
        "signals": {
            **_text_signals(predictions, [example.text for example in examples]),
            **_output_signals(predictions, labels),
            **_projection(predictions, examples),
        },
        "known_accuracy": _known_accuracy(predictions, examples),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _text_signals(predictions: Sequence[Prediction], texts: Sequence[str]) -> dict[str, Any]:
    # Texts without a letter have no script.
    written = [of for of in map(letters_by_script, texts) if of]
    totals = [sum(of.values()) for of in written]
    foreign = [total - of[dominant(of)] for of, total in zip(written, totals, strict=True)]
    return {
        "input_tokens": _number("text", [float(p.input_tokens) for p in predictions]),
        "unknown_token_rate": _ratio(
            [p.unknown_tokens for p in predictions],
            [p.input_tokens - p.special_tokens for p in predictions],
        ),
        "duplicate_rate": _distinct(texts),
    } | (
        {
            "script": _category("text", Counter(map(dominant, written))),
            "mixed_script_rate": _ratio(foreign, totals),
        }
        if written
        else {}
    )


def _output_signals(predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, Any]:
    probabilities = np.array([p.probabilities for p in predictions])
    certain = np.where(probabilities > 0, probabilities, 1.0)
    top = np.sort(probabilities, axis=1)[:, -2:]
    counts = Counter(labels[prediction.label] for prediction in predictions)
    return {
        "label": _category("output", {label: counts[label] for label in labels}),
        "confidence": _number("output", [p.confidence for p in predictions]),
        "entropy": _number("output", -(probabilities * np.log(certain)).sum(axis=1)),
        "margin": _number("output", top[:, 1] - top[:, 0]),
    }


def _number(group: str, given: Sequence[float] | npt.NDArray[np.float64]) -> dict[str, Any]:
    values = np.asarray(given, np.float64)
    sketch = kll_floats_sketch(SKETCH_K)
    sketch.update(values.astype(np.float32))
    return {
        "kind": "number",
        "group": group,
        "kll": _text_of(sketch.serialize()),
        "rows": len(values),
        "mean": float(values.mean()),
        # Unbiased; a single row has no variance to estimate.
        "variance": float(values.var(ddof=1)) if len(values) > 1 else 0.0,
        "minimum": float(values.min()),
        "maximum": float(values.max()),
    }


def _ratio(numerators: Sequence[int], denominators: Sequence[int]) -> dict[str, Any]:
    """Sums over rows that a ratio estimator and its variance need."""
    rows = list(zip(numerators, denominators, strict=True))
    return {
        "kind": "ratio",
        "group": "text",
        "rows": len(rows),
        "numerator": sum(n for n, _ in rows),
        "denominator": sum(d for _, d in rows),
        "numerator_squared": sum(n * n for n, _ in rows),
        "denominator_squared": sum(d * d for _, d in rows),
        "product": sum(n * d for n, d in rows),
    }


def _category(group: str, counts: dict[str, int]) -> dict[str, Any]:
    return {"kind": "category", "group": group, "counts": dict(counts), "other": 0}


def _distinct(texts: Sequence[str]) -> dict[str, Any]:
    """How often texts are repeated, by the smallest of their hashes.

    The hashes are keyed and the key is thrown away: nobody can look whether a text is among them.
    """
    key = secrets.token_bytes(16)
    digests = [hashlib.blake2b(_bytes_of(text), digest_size=8, key=key).digest() for text in texts]
    hashes, counts = np.unique(np.frombuffer(b"".join(digests), "<u8"), return_counts=True)
    return {
        "kind": "distinct",
        "group": "text",
        "rows": len(texts),
        "hashes": _text_of(hashes[:DISTINCT].astype("<u8").tobytes()),
        "counts": _text_of(counts[:DISTINCT].astype("<u4").tobytes()),
    }


def _projection(
    predictions: Sequence[Prediction], examples: Sequence[Example]
) -> dict[str, dict[str, Any]]:
    """A uniform sample of rows, each with its confidence and whether it was right."""
    places = [place for place, of in enumerate(predictions) if of.projection]
    if not places:
        return {}
    keys = np.random.default_rng(SAMPLE_SEED).integers(
        0, 2**64, len(places), np.uint64, endpoint=False
    )
    order = np.argsort(keys)[:SAMPLE_ROWS]
    chosen = [(predictions[places[at]], examples[places[at]]) for at in order]
    return {
        "projection": {
            "kind": "vector",
            "group": "projection",
            "dimensions": len(chosen[0][0].projection),
            "rows": len(places),
            "keys": _text_of(keys[order].astype("<u8").tobytes()),
            "values": _text_of(b"".join(of.projection for of, _ in chosen)),
            "scales": _floats(of.projection_scale for of, _ in chosen),
            "confidences": _floats(of.confidence for of, _ in chosen),
            "outcomes": _text_of(bytes(of.label == row.label for of, row in chosen)),
        }
    }


def _known_accuracy(
    predictions: Sequence[Prediction], examples: Sequence[Example]
) -> dict[str, Any]:
    """How often the model was right, in all and by confidence."""
    hits = np.array(
        [float(of.label == row.label) for of, row in zip(predictions, examples, strict=True)]
    )
    bins = reliability(np.array([of.confidence for of in predictions]), hits)
    return {
        "rows": len(hits),
        "right": int(hits.sum()),
        "bins": [
            {
                "low": of.low,
                "high": of.high,
                "rows": of.rows,
                "confidence": of.confidence,
                "right": round((of.accuracy or 0.0) * of.rows),
            }
            for of in bins
            if of.rows
        ],
    }


def _bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _floats(values: Any) -> str:
    return _text_of(np.fromiter(values, "<f4").tobytes())


def _text_of(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")

"""Facts of predictions and feedback as columns, one for each signal."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from drift import signals
from drift.distinct_inputs import hash_prefix
from drift.domain import FeedbackFacts, PredictionFacts, Projection
from drift.signals import CategoryColumn, Column, RatioColumn, Watched
from drift.vector_reservoir import UNKNOWN, VectorRows
from measures.scripts import dominant


def prediction_columns(predictions: Sequence[PredictionFacts]) -> dict[Watched, Column]:
    """The signals of predictions; rows that do not have one are left out of its column."""
    texts = [each for each in predictions if each.input_tokens]
    labelled = [each for each in predictions if each.label]
    known = [each.probabilities for each in labelled if len(each.probabilities) > 1]
    columns: dict[Watched, Column] = {
        **_texts(texts),
        **_features(predictions),
        signals.LABEL: CategoryColumn([each.label for each in labelled]),
        signals.CONFIDENCE: _floats(each.confidence for each in labelled),
        **_certainty(known),
        signals.LATENCY: _floats(
            each.milliseconds for each in predictions if each.milliseconds is not None
        ),
    }
    projected = [
        (each, each.projection) for each in predictions if each.projection and each.prediction_id
    ]
    if projected:
        dimensions = len(projected[0][1].values)
        alike = [pair for pair in projected if len(pair[1].values) == dimensions]
        columns[signals.PROJECTION] = _vectors(alike, dimensions)
    return columns


def feedback_columns(feedback: Sequence[FeedbackFacts]) -> dict[Watched, Column]:
    """The signals of feedback that names a label."""
    agreed = _floats(each.agreed for each in feedback)
    confidences = _floats(each.confidence for each in feedback)
    return {
        signals.ACCURACY: RatioColumn(agreed, np.ones_like(agreed)),
        signals.CALIBRATION_GAP: confidences - agreed,
    }


def key_of(prediction_id: str) -> bytes:
    """8 bytes that tell a prediction from every other, spread evenly."""
    return blake2b(prediction_id.encode(errors="surrogatepass"), digest_size=8).digest()


def _texts(texts: Sequence[PredictionFacts]) -> dict[Watched, Column]:
    # Texts without a letter, and events of a replica that does not count them yet, have no script.
    written = [each.letters for each in texts if each.letters]
    scripts = [dominant(letters) for letters in written]
    totals = _floats(sum(letters.values()) for letters in written)
    own = _floats(letters[script] for letters, script in zip(written, scripts, strict=True))
    return {
        signals.INPUT_TOKENS: _floats(each.input_tokens for each in texts),
        signals.UNKNOWN_TOKEN_RATE: RatioColumn(
            _floats(each.unknown_tokens for each in texts),
            _floats(each.text_tokens for each in texts),
        ),
        signals.SCRIPT: CategoryColumn(scripts),
        signals.MIXED_SCRIPT_RATE: RatioColumn(totals - own, totals),
        signals.DUPLICATES: hash_prefix(each.input_sha256 for each in texts if each.input_sha256),
    }


def _features(predictions: Sequence[PredictionFacts]) -> dict[Watched, Column]:
    columns: dict[Watched, Column] = {}
    for name in sorted({name for each in predictions for name in each.features}):
        rows = [each for each in predictions if name in each.features]
        values = _floats(each.features[name] for each in rows)
        ones = np.ones(len(rows))
        missing = (~np.isfinite(values)).astype(np.float64)
        outside = _floats(name in each.out_of_range for each in rows)
        columns[signals.feature(name)] = values
        columns[signals.missing_rate(name)] = RatioColumn(missing, ones)
        columns[signals.out_of_range_rate(name)] = RatioColumn(outside, ones)
    for name in sorted({name for each in predictions for name in each.predicted_values}):
        columns[signals.predicted_value(name)] = _floats(
            each.predicted_values[name] for each in predictions if name in each.predicted_values
        )
    return columns


def _vectors(
    projected: Sequence[tuple[PredictionFacts, Projection]], dimensions: int
) -> VectorRows:
    values = np.frombuffer(b"".join(vector.values for _, vector in projected), np.int8)
    return VectorRows(
        keys=hash_prefix(key_of(each.prediction_id) for each, _ in projected),
        values=values.reshape(-1, dimensions),
        scales=_floats(vector.scale for _, vector in projected).astype(np.float32),
        confidences=_floats(
            each.confidence if each.label else np.nan for each, _ in projected
        ).astype(np.float32),
        outcomes=np.full(len(projected), UNKNOWN, np.int8),
    )


def _certainty(known: Sequence[Sequence[float]]) -> dict[Watched, Column]:
    """Entropy and margin of probabilities, those of as many labels together."""
    by_labels: dict[int, list[Sequence[float]]] = {}
    for probabilities in known:
        by_labels.setdefault(len(probabilities), []).append(probabilities)
    entropies, margins = [np.empty(0)], [np.empty(0)]
    for labels, rows in by_labels.items():
        shares = np.array(rows, np.float64)
        entropies.append(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1))
        highest = np.partition(shares, labels - 2, axis=1)
        margins.append(highest[:, -1] - highest[:, -2])
    return {
        signals.ENTROPY: np.concatenate(entropies),
        signals.MARGIN: np.concatenate(margins),
    }


def _floats(values: Iterable[float]) -> npt.NDArray[np.float64]:
    return np.fromiter(values, np.float64)

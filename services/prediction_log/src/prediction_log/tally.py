"""Adds up counts, from rollups or from rows, and tells what they say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add

from prediction_log.domain import PredictionStats
from prediction_log.histograms import (
    CONFIDENCE_BINS,
    LATENCY_BINS,
    confidence_quantile,
    latency_quantile,
)


@dataclass(slots=True)
class Tally:
    """What was counted so far."""

    predictions: int = 0
    confidence_sum: float = 0.0
    confidences: list[int] = field(default_factory=lambda: [0] * CONFIDENCE_BINS)
    latencies: list[int] = field(default_factory=lambda: [0] * LATENCY_BINS)
    labelled: int = 0
    correct: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        predictions: int,
        confidence_sum: float,
        confidences: Sequence[int],
        latencies: Sequence[int],
        labelled: int,
        correct: int,
    ) -> None:
        """Counts another sample in."""
        self.predictions += predictions
        self.confidence_sum += confidence_sum
        self.confidences = list(map(add, self.confidences, confidences))
        self.latencies = list(map(add, self.latencies, latencies))
        self.labelled += labelled
        self.correct += correct

    @property
    def mean_confidence(self) -> float | None:
        """None when there is no prediction."""
        return self.confidence_sum / self.predictions if self.predictions else None

    def stats(self) -> PredictionStats:
        """All of it, with quantiles as exact as the histograms are."""
        return PredictionStats(
            predictions=self.predictions,
            labels=dict(self.labels),
            mean_confidence=self.mean_confidence,
            inference_ms_p50=latency_quantile(self.latencies, 0.5),
            inference_ms_p95=latency_quantile(self.latencies, 0.95),
            inference_ms_p99=latency_quantile(self.latencies, 0.99),
            labelled=self.labelled,
            correct=self.correct,
        )

    def confidence(self, share: float) -> float | None:
        """A quantile of the confidence; None when there is no prediction."""
        return confidence_quantile(self.confidences, share)

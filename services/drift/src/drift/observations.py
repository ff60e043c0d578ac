"""What was observed of a set of predictions, signal by signal, in constant memory."""

from dataclasses import dataclass, field

from drift.domain import PredictionFacts
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution

OTHER_LABELS = "(other)"
_MOST_LABELS = 100


@dataclass(slots=True)
class Observations:
    """Four signals over the same rows."""

    input_tokens: NumberDistribution = field(default_factory=NumberDistribution.empty)
    confidence: NumberDistribution = field(default_factory=NumberDistribution.empty)
    unknown_token_rate: RatioSums = field(default_factory=RatioSums)
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Predictions."""
        return self.input_tokens.moments.rows

    def add(self, prediction: PredictionFacts) -> None:
        """Takes one prediction."""
        self.input_tokens.add(float(prediction.input_tokens))
        self.confidence.add(prediction.confidence)
        self.unknown_token_rate = self.unknown_token_rate.plus(
            prediction.unknown_tokens, prediction.text_tokens
        )
        label = prediction.label
        if label not in self.labels and len(self.labels) >= _MOST_LABELS:
            label = OTHER_LABELS
        self.labels[label] = self.labels.get(label, 0) + 1

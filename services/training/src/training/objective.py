"""What training minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.encoded_rows import Batch
from training.text_classifier import TextClassifier


@dataclass(frozen=True, slots=True)
class LabelLoss:
    """Cross entropy with the rows' labels; ``smoothing`` is spread over all labels."""

    smoothing: float

    def __call__(self, model: TextClassifier, batch: Batch) -> torch.Tensor:
        """One loss per row, float32 ``[rows]``."""
        return self.of_logits(model(batch.ids, batch.mask), batch.labels)

    def of_logits(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The same of logits ``[rows, labels]``."""
        return torch.nn.functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.smoothing
        )

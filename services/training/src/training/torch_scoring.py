"""Logits of many rows from a torch model, in batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from training.batches import sorted_batches
from training.encoded_rows import EncodedRow, make_batch
from training.probabilities import Logits
from training.progress import Advance
from training.text_classifier import TextClassifier


def torch_logits(
    model: TextClassifier,
    rows: Sequence[EncodedRow],
    *,
    rows_per_batch: int,
    tokens_per_batch: int,
    device: torch.device,
    advance: Advance | None = None,
) -> Logits:
    """Run ``model`` over all rows: float32 ``[rows, labels]`` in their order.

    The model is put into eval mode and back. Always in fp32, so that precisions can be compared.
    """
    was_training = model.training
    model.eval()
    lengths = [len(row.ids) for row in rows]
    logits = np.empty((len(rows), len(model.labels)), np.float32)
    with torch.inference_mode():
        for indices in sorted_batches(lengths, rows=rows_per_batch, tokens=tokens_per_batch):
            batch = make_batch(rows, indices, model.pad_id, device)
            logits[indices] = model(batch.ids, batch.mask).cpu().numpy()
            if advance is not None:
                advance(len(indices), amount=batch.tokens)
    model.train(was_training)
    return logits

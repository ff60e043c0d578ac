"""Labelled texts as token ids, and batches of them as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from training.domain import Example
from training.progress import Progress
from training.truncation import cut_middle, set_truncation

CHUNK = 2000


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One example as token ids, special tokens included."""

    ids: npt.NDArray[np.int32]
    label: int
    source: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side, padded to the longest: int64 ``[rows, tokens]`` twice, ``[rows]``.

    ``indices`` are the rows' places in their data set.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    indices: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.mask.sum())


def encode_rows(
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    *,
    max_tokens: int,
    truncation: str,
    progress: Progress,
    title: str,
) -> list[EncodedRow]:
    """Tokenise and cut; the tokenizer's own truncation is set to what that needs."""
    set_truncation(tokenizer, max_tokens, truncation)
    rows: list[EncodedRow] = []
    with progress.task(title, len(examples), "rows") as advance:
        for start in range(0, len(examples), CHUNK):
            chunk = examples[start : start + CHUNK]
            encodings = tokenizer.encode_batch([example.text for example in chunk])
            for encoding, example in zip(encodings, chunk, strict=True):
                ids = np.array(cut_middle(encoding.ids, max_tokens), dtype=np.int32)
                rows.append(EncodedRow(ids, example.label, example.source))
            advance(len(chunk))
    return rows


def make_batch(
    rows: Sequence[EncodedRow], indices: Sequence[int], pad: int, device: torch.device
) -> Batch:
    """Put the rows at ``indices`` side by side on ``device``; ``pad`` is the padding's id."""
    chosen = [rows[index] for index in indices]
    shape = (len(chosen), max(len(row.ids) for row in chosen))
    ids = np.full(shape, pad, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for place, row in enumerate(chosen):
        ids[place, : len(row.ids)] = row.ids
        mask[place, : len(row.ids)] = 1
    return Batch(
        torch.from_numpy(ids).to(device),
        torch.from_numpy(mask).to(device),
        torch.tensor([row.label for row in chosen], device=device),
        tuple(indices),
    )

"""Learns from a teacher: its probabilities and, token by token, its hidden states.

Soft labels: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015). Hidden states by
a uniform layer map: Jiao et al., "TinyBERT" (2020), here without its attention matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from training.batches import sorted_batches
from training.domain import InputError
from training.encoded_rows import Batch, EncodedRow, make_batch
from training.progress import Progress
from training.text_classifier import TextClassifier
from training.training_recipe import Distillation

Pairs = tuple[tuple[int, int], ...]


class DistillationLoss:
    """The objective: label loss, soft labels and, where rows align, hidden states.

    A row aligns when student and teacher see the same tokens; with a pruned vocabulary, some rows
    do not, and learn from labels and probabilities only. Where no hidden states are wanted, the
    teacher is asked once, before training.
    """

    def __init__(
        self,
        recipe: Distillation,
        label_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        teacher: TextClassifier,
        teacher_rows: Sequence[EncodedRow],
        aligned: Sequence[bool],
        pairs: Pairs,
        device: torch.device,
    ) -> None:
        self._recipe, self._label_loss = recipe, label_loss
        self._teacher, self._rows = teacher.to(device), teacher_rows
        self._teacher.eval()
        self._aligned = torch.tensor(aligned, device=device)
        self._pairs, self._device = pairs, device
        self._asked: torch.Tensor | None = None

    def ask_once(self, rows_per_batch: int, tokens_per_batch: int, progress: Progress) -> None:
        """Ask the teacher about every row now, unless its hidden states are wanted, too."""
        if self._recipe.hidden_weight:
            return
        answers = torch.zeros(len(self._rows), len(self._teacher.labels), device=self._device)
        lengths = [len(row.ids) for row in self._rows]
        batches = sorted_batches(lengths, rows=rows_per_batch, tokens=tokens_per_batch)
        with progress.task("asking the teacher", len(self._rows), "rows") as advance:
            for indices in batches:
                answers[torch.tensor(indices, device=self._device)] = self._ask(indices)[0]
                advance(len(indices))
        self._asked = answers

    def __call__(self, model: TextClassifier, batch: Batch) -> torch.Tensor:
        """One loss per row, float32 ``[rows]``."""
        recipe = self._recipe
        with_hidden = recipe.hidden_weight > 0
        logits, hidden = model.with_hidden(batch.ids, batch.mask, wanted=with_hidden)
        if self._asked is None:
            soft, teacher_hidden = self._ask(batch.indices)
        else:
            soft, teacher_hidden = self._asked[list(batch.indices)], ()
        loss = (1 - recipe.soft_weight) * self._label_loss(logits, batch.labels)
        # The square keeps the gradient's size when the temperature changes.
        loss = loss + recipe.soft_weight * recipe.temperature**2 * functional.kl_div(
            functional.log_softmax(logits / recipe.temperature, -1),
            functional.log_softmax(soft / recipe.temperature, -1),
            reduction="none",
            log_target=True,
        ).sum(-1)
        if with_hidden:
            loss = loss + recipe.hidden_weight * self._hidden_loss(hidden, teacher_hidden, batch)
        return loss

    def _ask(self, indices: Sequence[int]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        batch = make_batch(self._rows, indices, self._teacher.pad_id, self._device)
        with torch.no_grad():
            logits, hidden = self._teacher.with_hidden(
                batch.ids, batch.mask, wanted=self._recipe.hidden_weight > 0
            )
        return logits, hidden

    def _hidden_loss(
        self, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], batch: Batch
    ) -> torch.Tensor:
        """Mean squared difference per row over tokens, width and pairs of layers."""
        aligned = self._aligned[list(batch.indices)]
        total = torch.zeros(len(aligned), device=self._device)
        if not aligned.any():
            return total
        mask = batch.mask[aligned].float()
        width = mask.shape[1]
        found = torch.zeros(int(aligned.sum()), device=self._device)
        for mine, other in self._pairs:
            # The teacher's batch may be wider or narrower: rows that do not align pad the others.
            difference = _to_width(ours[mine][aligned].float(), width) - _to_width(
                theirs[other][aligned].float(), width
            )
            per_token = difference.square().mean(-1)
            found = found + (per_token * mask).sum(-1) / mask.sum(-1)
        return total.masked_scatter(aligned, found / len(self._pairs))


def uniform_pairs(student_layers: int, teacher_layers: int) -> Pairs:
    """Student's layers to teacher's, spread evenly; 0 is the embeddings' output on both sides."""
    return tuple(
        (layer, round(layer * teacher_layers / student_layers))
        for layer in range(student_layers + 1)
    )


def check_pairs(recipe: Distillation, student: TextClassifier, teacher: TextClassifier) -> Pairs:
    """The layer map to use. Raises InputError for layers or widths that do not fit."""
    if not recipe.hidden_weight:
        return ()
    ours, theirs = (int(model.config.num_hidden_layers) for model in (student, teacher))
    widths = [int(model.config.hidden_size) for model in (student, teacher)]
    if widths[0] != widths[1]:
        raise InputError(
            f"hidden states of width {widths[0]} cannot follow a teacher's of width {widths[1]}: "
            "set distillation.hidden_weight to 0"
        )
    pairs = recipe.layer_map or uniform_pairs(ours, theirs)
    if any(not (0 <= mine <= ours and 0 <= other <= theirs) for mine, other in pairs):
        raise InputError(f"layer_map: student layers are 0 to {ours}, teacher layers 0 to {theirs}")
    return pairs


def align(
    ours: Sequence[EncodedRow], theirs: Sequence[EncodedRow], token_map: dict[int, int]
) -> list[bool]:
    """Which rows are the same tokens for both; ``token_map`` is student's id to teacher's."""
    table = np.full(max(token_map, default=0) + 1, -1, dtype=np.int64)
    for mine, other in token_map.items():
        table[mine] = other
    return [
        bool(
            len(one.ids) == len(other.ids)
            and one.ids.max() < len(table)
            and (table[one.ids] == other.ids).all()
        )
        for one, other in zip(ours, theirs, strict=True)
    ]


def _to_width(hidden: torch.Tensor, width: int) -> torch.Tensor:
    cut = hidden[:, :width]
    return functional.pad(cut, (0, 0, 0, width - cut.shape[1]))

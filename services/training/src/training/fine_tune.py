"""Fine-tunes a pretrained encoder with a classification head, on CPU, reproducibly."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from training.domain import Example, InputError, Recipe

# Batches are sorted by length inside pools of this many batches: long enough that rows of a batch
# are of one length, short enough that the order of an epoch stays random.
BATCHES_PER_POOL = 64
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """Where training is after one optimiser step; ``loss`` is that of the step's own batch."""

    done: int
    total: int
    examples: int
    loss: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as token ids, special tokens included."""

    ids: list[int]
    label: int


def load_base(directory: Path, labels: Sequence[str]) -> PreTrainedModel:
    """Load encoder weights with a new head of one logit per label, in the labels' order.

    The head's weights come from torch's global generator, so seed it first. Attention is eager:
    the same graph is trained and exported. Raises InputError when there is no usable model.
    """
    try:
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            directory,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            attn_implementation="eager",
            dtype=torch.float32,
        )
    except (OSError, ValueError) as exc:
        raise InputError(f"{directory}: not a usable base model ({exc})") from exc
    if model.config.model_type != "bert":
        raise InputError(f"{directory}: a {model.config.model_type} model; only BERT is fused")
    return model


def fine_tune(
    base: Path,
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    labels: Sequence[str],
    recipe: Recipe,
    on_step: Callable[[Step], None],
) -> PreTrainedModel:
    """Train all weights with AdamW, linear warm-up and linear decay; return the model in eval mode.

    The same base, examples, recipe, torch build and number of threads give the same weights bit
    for bit. The caller's random state is left as it was.
    """
    encoded = [
        Encoded(encoding.ids, example.label)
        for encoding, example in zip(
            tokenizer.encode_batch([example.text for example in examples]), examples, strict=True
        )
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = load_base(base, labels)
        if recipe.max_tokens > model.config.max_position_embeddings:
            raise InputError(
                f"{base}: {model.config.max_position_embeddings} tokens at most, "
                f"{recipe.max_tokens} wanted"
            )
        _train(model, encoded, recipe, on_step)
    model.eval()
    return model


def _train(
    model: PreTrainedModel,
    encoded: Sequence[Encoded],
    recipe: Recipe,
    on_step: Callable[[Step], None],
) -> None:
    # Reproducible is what this order has to be, not secret.
    shuffler = random.Random(recipe.seed)  # noqa: S311
    total = recipe.epochs * -(-len(encoded) // recipe.batch_size)
    optimizer = torch.optim.AdamW(_parameter_groups(model, recipe.weight_decay), fused=True)
    model.train()
    done = seen = 0
    for _ in range(recipe.epochs):
        for batch in length_grouped(encoded, recipe.batch_size, shuffler):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * schedule(done, total, recipe.warmup)
            loss = model(**_tensors(batch, pad=int(model.config.pad_token_id or 0))).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            optimizer.zero_grad()
            done, seen = done + 1, seen + len(batch)
            on_step(Step(done=done, total=total, examples=seen, loss=float(loss.detach())))


def length_grouped(
    encoded: Sequence[Encoded], batch_size: int, shuffler: random.Random
) -> Iterator[list[Encoded]]:
    """Yield one epoch of batches whose rows are of similar length, every row once.

    Padding to a batch's longest row costs little then: most rows of the data are short phrases.
    """
    rows = list(encoded)
    shuffler.shuffle(rows)
    pool_size = batch_size * BATCHES_PER_POOL
    for start in range(0, len(rows), pool_size):
        pool = sorted(rows[start : start + pool_size], key=lambda row: len(row.ids))
        batches = [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
        shuffler.shuffle(batches)
        yield from batches


def schedule(done: int, total: int, warmup: float) -> float:
    """The factor on the learning rate for the step after ``done`` steps: up to 1, down to 0."""
    rise = max(1, round(total * warmup))
    if done < rise:
        return (done + 1) / rise
    return (total - done) / max(1, total - rise)


def _parameter_groups(model: PreTrainedModel, weight_decay: float) -> list[dict[str, object]]:
    # Biases and layer norms are vectors; decaying them towards zero only distorts scales.
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    vectors = [weight for weight in model.parameters() if weight.dim() == 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _tensors(batch: Sequence[Encoded], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(row.ids) for row in batch)
    ids = [row.ids + [pad] * (width - len(row.ids)) for row in batch]
    mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor([row.label for row in batch]),
    }

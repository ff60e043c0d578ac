"""Makes the model that is trained: base weights, fewer layers, a smaller vocabulary, a new head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from training.base_model import BaseModel
from training.domain import Example, InputError
from training.progress import Progress
from training.recipe import Recipe
from training.text_classifier import TextClassifier, layer_list, new_classifier
from training.tokenizer import load_tokenizer
from training.training_record import TOKENIZER
from training.vocabulary import count_tokens, named_ids, prune, prune_embeddings


@dataclass(frozen=True, slots=True)
class Student:
    """A model before training; ``layers`` are those of the base that it kept, from 0."""

    model: TextClassifier
    tokenizer: Tokenizer
    layers: tuple[int, ...]


def make_student(
    recipe: Recipe,
    base: BaseModel,
    labels: Sequence[str],
    train: Sequence[Example],
    progress: Progress,
) -> Student:
    """Build what the recipe's model section says; the head is torch's global generator's.

    ``train`` decides which tokens are kept. Raises InputError for a base that cannot be used so,
    and says early what cannot be packaged.
    """
    wanted = recipe.model
    tokenizer = load_tokenizer(base.directory / TOKENIZER, wanted.max_tokens)
    model = new_classifier(
        base.directory,
        labels,
        wanted.pooling,
        dropout=recipe.training.dropout,
        attention_dropout=recipe.training.attention_dropout,
    )
    if wanted.max_tokens > model.max_tokens:
        raise InputError(
            f"{wanted.base}: {model.max_tokens} tokens at most, {wanted.max_tokens} wanted"
        )
    family = model.config.model_type
    if family != "bert":
        progress.say(f"note: a {family} model can be trained but not packaged: only BERT is fused")
    layers = keep_layers(model, wanted.layers)
    if wanted.prune_vocabulary is not None:
        before = int(model.config.vocab_size)
        counts = count_tokens(tokenizer, [example.text for example in train])
        always = named_ids(model.encoder)
        pruned = prune(tokenizer, counts, wanted.prune_vocabulary, always)
        if pruned.kept[-1] >= before:
            raise InputError(f"{wanted.base}: the tokenizer has ids that the embeddings have not")
        prune_embeddings(model.encoder, pruned.kept)
        tokenizer = pruned.tokenizer
        progress.say(f"kept {len(pruned.kept)} of {before} tokens")
    return Student(model, tokenizer, layers)


def keep_layers(model: TextClassifier, wanted: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Remove all layers but the wanted ones; a number means so many, evenly from first to last.

    Returns the layers kept. Raises InputError for layers that the encoder has not got.
    """
    layers = layer_list(model.encoder)
    count = len(layers)
    chosen = tuple(range(count)) if wanted is None else wanted
    if isinstance(chosen, int):
        steps = max(chosen - 1, 1)
        chosen = tuple(round(index * (count - 1) / steps) for index in range(chosen))
    if len(set(chosen)) < len(chosen) or list(chosen) != sorted(chosen) or max(chosen) >= count:
        raise InputError(f"layers {wanted}: give some of 0 to {count - 1}, rising")
    for index in reversed(range(count)):
        if index not in chosen:
            del layers[index]
    model.config.num_hidden_layers = len(chosen)
    return chosen

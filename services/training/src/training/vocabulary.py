"""Takes tokens out of a vocabulary that its data hardly use, and their rows out of the embeddings.

Of a small encoder's weights, more than half are rows for tokens that its texts never hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from training.domain import InputError

# Token ids that a model's configuration may name.
NAMED_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id")
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class PrunedVocabulary:
    """A tokenizer with fewer tokens; ``kept[i]`` is the old id of the token that is now ``i``."""

    tokenizer: Tokenizer
    kept: tuple[int, ...]


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often each token id occurs, within what the tokenizer's truncation leaves."""
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), CHUNK):
        for encoding in tokenizer.encode_batch(list(texts[start : start + CHUNK])):
            counts.update(encoding.ids)
    return counts


def prune(
    tokenizer: Tokenizer, counts: Counter[int], least: int, always: Collection[int] = ()
) -> PrunedVocabulary:
    """Keep tokens that occur ``least`` times, special tokens, single characters and ``always``.

    WordPiece takes the longest token that fits, so a text whose tokens are all kept is cut as
    before; another word falls into shorter tokens, down to its characters. Raises InputError for a
    tokenizer that is not a WordPiece one.
    """
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    if model["type"] != "WordPiece":
        raise InputError(f"the vocabulary of a {model['type']} tokenizer cannot be pruned")
    prefix = model["continuing_subword_prefix"]
    special = {token["id"] for token in content["added_tokens"]}
    kept = sorted(
        special
        | set(always)
        | {
            index
            for token, index in model["vocab"].items()
            if counts[index] >= least
            or len(token.removeprefix(prefix)) == 1
            or token == model["unk_token"]
        }
    )
    new = {old: index for index, old in enumerate(kept)}
    model["vocab"] = {
        token: new[index]
        for token, index in sorted(model["vocab"].items(), key=lambda entry: entry[1])
        if index in new
    }
    for token in content["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber_processor(content["post_processor"], new)
    return PrunedVocabulary(Tokenizer.from_str(json.dumps(content)), tuple(kept))


def prune_embeddings(encoder: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keep the rows ``kept`` of the word embeddings, and renumber ids in the configuration."""
    old = encoder.get_input_embeddings()
    new_ids = {before: index for index, before in enumerate(kept)}
    padding = new_ids.get(old.padding_idx) if old.padding_idx is not None else None
    rows = old.weight.detach()[torch.tensor(kept)]
    new = torch.nn.Embedding(len(kept), rows.shape[1], padding_idx=padding)
    with torch.no_grad():
        new.weight.copy_(rows)
    encoder.set_input_embeddings(new)
    encoder.config.vocab_size = len(kept)
    for name in NAMED_IDS:
        before = getattr(encoder.config, name, None)
        if before is not None:
            setattr(encoder.config, name, new_ids.get(before))


def named_ids(encoder: PreTrainedModel) -> set[int]:
    """The token ids that the configuration names and the vocabulary has."""
    found = {getattr(encoder.config, name, None) for name in NAMED_IDS}
    return {index for index in found if index is not None and index < encoder.config.vocab_size}


def token_map(student: Tokenizer, teacher: Tokenizer) -> dict[int, int]:
    """The teacher's id of each of the student's tokens, where it has the same one."""
    theirs = teacher.get_vocab()
    return {index: theirs[token] for token, index in student.get_vocab().items() if token in theirs}


def _renumber_processor(processor: Any, new: dict[int, int]) -> None:
    """Put new ids into what adds [CLS] and [SEP], in place."""
    if not processor:
        return
    for inner in processor.get("processors", ()):
        _renumber_processor(inner, new)
    for end in ("cls", "sep"):
        if end in processor:
            token, index = processor[end]
            processor[end] = [token, new[index]]
    for token in _values(processor.get("special_tokens")):
        token["ids"] = [new[index] for index in token["ids"]]


def _values(content: Any) -> Iterable[Any]:
    return content.values() if isinstance(content, dict) else ()

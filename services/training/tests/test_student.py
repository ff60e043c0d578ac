"""Fewer layers and a smaller vocabulary: what is kept is what was there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from training.domain import InputError
from training.student import keep_layers
from training.text_classifier import TextClassifier, layer_list, new_classifier
from training.vocabulary import count_tokens, named_ids, prune, prune_embeddings

LABELS = ("negative", "positive")
PIECES = ("film", "films", "great", "##ly", "##s", "un", "##known", "mov", "##ing", "moving")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz.,!")


def word_pieces(**post: object) -> Tokenizer:
    tokens = (
        *("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]"),
        *PIECES, *LETTERS, *(f"##{letter}" for letter in LETTERS),
    )  # fmt: skip
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


FULL = word_pieces()
PRUNED = prune(FULL, count_tokens(FULL, ["moving films", "moving films greatly"]), least=2)
WORDS = some.text(alphabet=[*LETTERS, " ", "é", "中", "😀"], max_size=40)
TEXTS = some.lists(some.sampled_from(["film", "moving", "greatly", "unknown", "zoo"]) | WORDS)


def test_frequent_tokens_characters_and_special_tokens_are_kept() -> None:
    kept = set(PRUNED.tokenizer.get_vocab())

    assert {"moving", "films", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "##s"} <= kept
    assert not kept & {"great", "film", "un", "[unused0]"}


@given(TEXTS)
def test_pruned_ids_are_valid_and_kept_texts_are_cut_as_before(words: list[str]) -> None:
    text = " ".join(words)
    before, after = FULL.encode(text), PRUNED.tokenizer.encode(text)

    assert all(0 <= index < len(PRUNED.kept) for index in after.ids)
    assert [FULL.id_to_token(PRUNED.kept[index]) for index in after.ids] == after.tokens
    if all(PRUNED.tokenizer.token_to_id(token) is not None for token in before.tokens):
        assert after.tokens == before.tokens
    # No word becomes unknown that was known.
    assert after.tokens.count("[UNK]") == before.tokens.count("[UNK]")


def test_a_word_that_lost_its_token_falls_into_shorter_ones() -> None:
    assert PRUNED.tokenizer.encode("great").tokens == [
        "[CLS]", "g", "##r", "##e", "##a", "##t", "[SEP]",
    ]  # fmt: skip


def test_a_pruned_tokenizer_reads_back_and_numbers_without_gaps() -> None:
    again = Tokenizer.from_str(PRUNED.tokenizer.to_str())

    assert sorted(again.get_vocab().values()) == list(range(len(PRUNED.kept)))
    assert again.encode("moving films !").ids == PRUNED.tokenizer.encode("moving films !").ids


def test_berts_own_post_processor_is_renumbered_too() -> None:
    tokenizer = word_pieces()
    tokenizer.post_processor = processors.Sequence(
        [processors.BertProcessing(("[SEP]", 4), ("[CLS]", 3))]
    )

    pruned = prune(tokenizer, Counter(), least=1)

    encoding = pruned.tokenizer.encode("a")
    assert encoding.tokens == ["[CLS]", "a", "[SEP]"]
    assert [pruned.kept[index] for index in encoding.ids] == FULL.encode("a").ids


def test_a_vocabulary_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="a BPE tokenizer cannot be pruned"):
        prune(Tokenizer(models.BPE()), Counter(), least=1)


def test_a_pruned_model_answers_as_before_on_kept_tokens(thin_base: Path) -> None:
    whole = new_classifier(thin_base, LABELS, "mean").eval()
    kept = sorted({*range(5), 7, 9, 12} | named_ids(whole.encoder))
    smaller = new_classifier(thin_base, LABELS, "mean").eval()
    smaller.head.load_state_dict(whole.head.state_dict())
    prune_embeddings(smaller.encoder, kept)
    old = torch.tensor([[2, 7, 12, 3, 0]])
    new = torch.tensor([[kept.index(index) for index in old[0].tolist()]])
    mask = torch.tensor([[1, 1, 1, 1, 0]])

    assert torch.equal(whole(old, mask), smaller(new, mask))
    assert smaller.config.vocab_size == len(kept)
    assert smaller.pad_id == kept.index(whole.pad_id)


@pytest.fixture
def model(base: Path) -> TextClassifier:
    return new_classifier(base, LABELS, "mean")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, (0, 1, 2, 3, 4, 5)),
        (3, (0, 2, 5)),
        (1, (0,)),
        (6, (0, 1, 2, 3, 4, 5)),
        ((1, 4), (1, 4)),
    ],
)
def test_the_wanted_layers_stay(
    model: TextClassifier, wanted: int | tuple[int, ...] | None, kept: tuple[int, ...]
) -> None:
    before = list(layer_list(model.encoder))

    assert keep_layers(model, wanted) == kept
    assert list(layer_list(model.encoder)) == [before[index] for index in kept]
    assert model.config.num_hidden_layers == len(kept)


@pytest.mark.parametrize("wanted", [7, (0, 6), (2, 1), (1, 1)])
def test_layers_that_are_not_there_are_refused(
    model: TextClassifier, wanted: int | tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="give some of 0 to 5, rising"):
        keep_layers(model, wanted)


def test_a_tokenizer_with_single_characters_alone_still_works() -> None:
    pruned = prune(FULL, Counter(), least=1)

    assert "[UNK]" not in pruned.tokenizer.encode("moving films greatly unknown").tokens
    assert json.loads(pruned.tokenizer.to_str())["model"]["type"] == "WordPiece"

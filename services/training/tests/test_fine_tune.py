from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from training.domain import Example, InputError, Recipe
from training.fine_tune import Encoded, Step, fine_tune, length_grouped, load_base, schedule
from training.tokenizer import load_tokenizer

LABELS = ("negative", "positive")
EXAMPLES = [
    Example(text, label)
    for text, label in [
        ("great film !", 1),
        ("dull", 0),
        ("a lovely story", 1),
        ("boring it is", 0),
    ]
] * 4


def weights(base: Path, seed: int, steps: list[Step] | None = None) -> dict[str, torch.Tensor]:
    recipe = Recipe(epochs=2, batch_size=4, learning_rate=1e-3, seed=seed, max_tokens=32)
    tokenizer = load_tokenizer(base / "tokenizer.json", recipe.max_tokens)
    seen = [] if steps is None else steps
    model = fine_tune(base, tokenizer, EXAMPLES, LABELS, recipe, seen.append)
    assert not model.training
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_the_same_seed_gives_the_same_weights_whatever_the_callers_random_state(
    base: Path,
) -> None:
    torch.manual_seed(1)
    one = weights(base, seed=3)
    torch.manual_seed(2)
    other = weights(base, seed=3)

    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_weights(base: Path) -> None:
    one, other = weights(base, seed=3), weights(base, seed=4)

    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


def test_fine_tuning_leaves_the_callers_random_state_alone(base: Path) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()

    weights(base, seed=3)

    assert torch.equal(torch.random.get_rng_state(), before)


def test_every_step_is_reported(base: Path) -> None:
    steps: list[Step] = []

    weights(base, seed=3, steps=steps)

    assert [step.done for step in steps] == list(range(1, 9))
    assert {step.total for step in steps} == {8}
    assert steps[-1].examples == 2 * len(EXAMPLES)


def test_an_epoch_holds_every_row_once_in_batches_of_one_length() -> None:
    rows = [Encoded(ids=[0] * (index % 5 + 1), label=index) for index in range(40)]

    batches = list(length_grouped(rows, 8, random.Random(0)))

    assert sorted(row.label for batch in batches for row in batch) == list(range(40))
    assert all(len({len(row.ids) for row in batch}) == 1 for batch in batches)


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    factors = [schedule(done, total=100, warmup=0.1) for done in range(100)]

    assert factors[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.02


def test_a_limit_beyond_the_position_embeddings_is_refused(base: Path) -> None:
    tokenizer = load_tokenizer(base / "tokenizer.json", 65)

    with pytest.raises(InputError, match="64 tokens at most, 65 wanted"):
        fine_tune(base, tokenizer, EXAMPLES, LABELS, Recipe(max_tokens=65), lambda step: None)


def test_a_base_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no such thing"}')

    with pytest.raises(InputError, match="not a usable base model"):
        load_base(tmp_path, LABELS)


def test_a_base_that_is_no_bert_is_refused(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    DistilBertModel(
        DistilBertConfig(vocab_size=9, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    ).save_pretrained(tmp_path)

    with pytest.raises(InputError, match="a distilbert model; only BERT"):
        load_base(tmp_path, LABELS)

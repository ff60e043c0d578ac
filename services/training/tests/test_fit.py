"""``weir-train fit``: what a run leaves behind and what its settings do."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from training import fit as fit_module
from training import objective
from training.domain import Example, InputError, Interrupted, TrainingError
from training.encoded_rows import encode_rows
from training.terminal import terminal_progress
from training.text_classifier import load_classifier
from training.tokenizer import load_tokenizer
from training.training_record import read_record

from .conftest import Weir

Fit = Callable[..., Path]
# Small enough for a second, large enough to learn something.
SMALL = (
    *("--set", "training.learning_rate=0.003", "--set", "training.rows_per_batch=16"),
    *("--max-tokens", 32, "--epochs", 1),
)


@pytest.fixture
def fit(weir: Weir, data: Path, thin_base: Path, tmp_path: Path) -> Fit:
    def run(*options: object, output: str = "run") -> Path:
        given = ("fit", data, "--base", thin_base, "--output", tmp_path / output)
        result = weir(*given, *SMALL, *options)
        (tmp_path / "output.txt").write_text(result.output)
        if result.exception is not None:
            raise result.exception
        return tmp_path / output / "model"

    return run


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "model.safetensors") | load_file(model / "head.safetensors")


def events(model: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (model.parent / "log.jsonl").read_text().splitlines()]


def test_a_run_learns_and_leaves_a_whole_recorded_model(fit: Fit, data: Path) -> None:
    model = fit("--epochs", 5)

    record = read_record(model)
    assert set(record.metrics) == {"other", "toys"}
    assert record.metrics["toys"]["accuracy"] >= 0.9
    assert record.recipe.training.epochs == 5
    assert record.recipe.data.sources[0].name == "toys"
    assert [of.name for of in record.data] == ["toys", "other"]
    assert {path.name for path in model.parent.iterdir()} == {"run.json", "log.jsonl", "model"}
    assert load_classifier(model).labels == ("negative", "positive")


def test_each_sources_dev_rows_are_measured_while_it_runs(fit: Fit, tmp_path: Path) -> None:
    model = fit("--set", "training.evaluate_every=5")

    measured = [event for event in events(model) if "dev" in event]
    assert [event["step"] for event in measured[:-1]] == [5 * n for n in range(1, len(measured))]
    assert all(set(event["dev"]) == {"other", "toys"} for event in measured)
    means = [np.mean([of["accuracy"] for of in event["dev"].values()]) for event in measured]
    assert [event["mean"] for event in measured] == pytest.approx(means)
    assert "step 5: other 0." in (tmp_path / "output.txt").read_text()


def test_the_same_seed_gives_the_same_weights_whatever_the_callers_random_state(
    fit: Fit,
) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = weights(fit(output="one"))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    same, other = weights(fit(output="same")), weights(fit("--seed", 8, output="other"))

    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["logits.weight"], other["logits.weight"])


def test_frozen_word_embeddings_stay_and_the_rest_learns(fit: Fit, thin_base: Path) -> None:
    trained = weights(fit("--set", "training.freeze_embeddings=true"))
    before = load_file(thin_base / "model.safetensors")

    name = "embeddings.word_embeddings.weight"
    assert torch.equal(trained[name], before[name])
    name = "embeddings.position_embeddings.weight"
    assert not torch.equal(trained[name], before[name])


def test_gathered_batches_are_one_step(fit: Fit) -> None:
    one_step = ("--set", "training.max_rows=16", "--set", "training.warmup=0.0")
    whole = fit(*one_step, output="whole")
    parts = fit(
        *one_step, "--set", "training.rows_per_batch=4", "--set", "training.accumulate=4",
        output="parts",
    )  # fmt: skip

    assert read_record(whole).steps == read_record(parts).steps == 1


def test_the_best_weights_are_kept_and_a_run_without_progress_stops(
    fit: Fit, tmp_path: Path
) -> None:
    model = fit(
        *("--epochs", 50, "--set", "training.patience=2", "--set", "training.metric=loss"),
        *("--set", "training.learning_rate=0.05", "--set", "training.decay=constant"),
    )

    record = read_record(model)
    measured = [event for event in events(model) if "dev" in event]
    best = min(measured, key=lambda event: event["mean"])
    assert (record.best_step, dict(record.metrics)) == (best["step"], best["dev"])
    assert [event["best"] for event in measured[-2:]] == [False, False]
    assert len(measured) < 50
    assert "stopped early" in (tmp_path / "output.txt").read_text()


def test_averaged_weights_are_measured_and_kept(fit: Fit) -> None:
    plain, averaged = (
        weights(fit(output="a")),
        weights(fit("--set", "training.ema=0.9", output="b")),
    )

    assert not torch.equal(plain["logits.weight"], averaged["logits.weight"])


def test_bf16_is_used_where_the_cpu_has_it(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})

    assert read_record(fit("--set", "training.max_rows=32")).precision == "bf16"


def test_a_loss_that_is_no_number_ends_the_run(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        objective.LabelLoss, "__call__", lambda *_: torch.tensor([torch.inf], requires_grad=True)
    )
    with pytest.raises(TrainingError, match="try a lower learning rate"):
        fit()
    assert not (tmp_path / "run" / "model").exists()


def test_a_signal_keeps_a_checkpoint_and_says_how_to_go_on(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    steps = iter(range(100))
    original = fit_module.Trainer._step

    def interrupted(self: Any, *arguments: Any) -> Any:
        if next(steps) == 3:
            signal.raise_signal(signal.SIGTERM)
        return original(self, *arguments)

    monkeypatch.setattr(fit_module.Trainer, "_step", interrupted)
    with pytest.raises(Interrupted, match="after step 4: go on with --resume") as stopped:
        fit()
    assert stopped.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is handler
    with pytest.raises(InputError, match="an unfinished run; --resume it"):
        fit()
    assert read_record(fit("--resume")).steps > 4
    assert "resumed after step 4" in (tmp_path / "output.txt").read_text()


def test_a_quick_run_takes_few_rows_and_says_so_in_its_record(fit: Fit) -> None:
    record = read_record(fit("--quick"))

    assert record.recipe.training.max_rows == 2000
    assert record.recipe.model.max_tokens == 32  # what is given counts more


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--base", "."), "base model .: no config.json"),
        (("--max-tokens", 65), "64 tokens at most, 65 wanted"),
        (("--set", "training.epoch=1"), "training.epoch: unknown key, did you mean epochs?"),
        (("--set", "training.tokens_per_batch=8"), "tokens_per_batch: fewer than rows_per_batch"),
        (("--set", "labels=[a, b]"), "labels a, b; the data has negative, positive"),
        (("--precision", "bf16"), "precision bf16: this cpu can do fp32"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    fit: Fit, options: tuple[object, ...], complaint: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)

    with pytest.raises(InputError, match=complaint):
        fit(*options)
    assert not (tmp_path / "run").exists()


def test_a_data_section_other_than_the_datas_own_is_noted(fit: Fit, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {sources: [{name: x, train: y}]}\n")

    record = read_record(fit("--recipe", recipe, "--set", "training.max_rows=32"))

    assert "prepared by another data section" in (tmp_path / "output.txt").read_text()
    assert record.recipe.data.sources[0].name == "toys"


@pytest.mark.parametrize(
    ("truncation", "kept"),
    [("head", "a b c d e f"), ("tail", "e f g h i j"), ("head_tail", "a f g h i j")],
)
def test_a_long_text_is_cut_at_the_chosen_side(base: Path, truncation: str, kept: str) -> None:
    tokenizer: Tokenizer = load_tokenizer(base / "tokenizer.json", 8)
    tokenizer.add_tokens(list("abcdefghij"))

    (row,) = encode_rows(
        tokenizer, [Example("a b c d e f g h i j", 0)], max_tokens=8, truncation=truncation,
        progress=terminal_progress(), title="tokenising",
    )  # fmt: skip

    assert [tokenizer.id_to_token(token) for token in row.ids] == ["[CLS]", *kept.split(), "[SEP]"]

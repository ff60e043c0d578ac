from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.domain import InputError
from training.optimisation import MovingAverage, make_optimizer, schedule, set_learning_rate
from training.precision import choose_precision
from training.text_classifier import layer_list, load_classifier, new_classifier, save_classifier
from training.training_recipe import Training

LABELS = ("negative", "positive")
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("decay", "last"), [("linear", 1 / 90), ("cosine", 0.0), ("constant", 1)])
def test_the_learning_rate_rises_to_its_peak_and_falls(decay: str, last: float) -> None:
    factors = [schedule(done, total=100, warmup=0.1, decay=decay) for done in range(100)]

    assert factors[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(last, abs=1e-3)


def test_the_head_has_a_learning_rate_of_its_own_and_vectors_do_not_decay(base: Path) -> None:
    model = new_classifier(base, LABELS, "mean")
    optimizer = make_optimizer(model, Training(learning_rate=1e-4, head_learning_rate=1e-3))

    set_learning_rate(optimizer, 0.5)

    groups = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
    head, embedding = model.head.logits, model.encoder.get_input_embeddings().weight
    assert groups[id(head.weight)]["lr"] == 5e-4
    assert groups[id(embedding)]["lr"] == 5e-5
    assert (groups[id(head.weight)]["weight_decay"], groups[id(head.bias)]["weight_decay"]) == (
        0.01, 0.0,
    )  # fmt: skip
    assert len(groups) == len(list(model.parameters()))


def test_the_moving_average_follows_slowly_and_swaps_back() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = MovingAverage(model, decay=0.9)
    torch.nn.init.ones_(model.weight)

    average.update()
    average.swap()
    swapped = model.weight.item()
    average.swap()

    assert swapped == pytest.approx(1 - 2 / 11)
    assert model.weight.item() == 1.0


@pytest.mark.parametrize(
    ("wanted", "device", "capabilities", "chosen"),
    [
        ("auto", CPU, {}, "fp32"),
        ("auto", CPU, {"amx_bf16": True}, "bf16"),
        ("auto", CPU, {"avx512_bf16": True}, "bf16"),
        ("fp32", CPU, {"amx_bf16": True}, "fp32"),
        ("auto", CUDA, {"cuda_bf16": True}, "bf16"),
        ("auto", CUDA, {"cuda_bf16": False}, "fp16"),
    ],
)
def test_the_precision_is_what_the_device_is_good_at(
    wanted: str, device: torch.device, capabilities: dict[str, bool], chosen: str
) -> None:
    assert choose_precision(wanted, device, capabilities) == chosen


@pytest.mark.parametrize("wanted", ["bf16", "fp16"])
def test_a_precision_that_the_cpu_has_not_got_is_refused(wanted: str) -> None:
    with pytest.raises(InputError, match=f"precision {wanted}: this cpu can do fp32"):
        choose_precision(wanted, CPU, {})


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_saved_model_says_the_same_when_loaded(base: Path, tmp_path: Path, pooling: str) -> None:
    model = new_classifier(base, LABELS, pooling)
    model.eval()
    save_classifier(model, tmp_path)
    again = load_classifier(tmp_path)
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    mask = (ids > 0).long()

    assert torch.equal(model(ids, mask), again(ids, mask))
    assert again.labels == LABELS


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_no_answer(base: Path, pooling: str) -> None:
    model = new_classifier(base, LABELS, pooling)
    model.eval()
    alone = model(torch.tensor([[2, 7, 3]]), torch.ones(1, 3, dtype=torch.long))
    padded = model(torch.tensor([[2, 7, 3, 0, 0]]), torch.tensor([[1, 1, 1, 0, 0]]))

    assert torch.allclose(alone, padded, atol=1e-6)


def test_the_first_tokens_head_begins_as_the_bases_own_pooler(base: Path) -> None:
    from transformers import BertModel

    model = new_classifier(base, LABELS, "cls")

    assert model.head.dense is not None
    assert torch.equal(model.head.dense.weight, BertModel.from_pretrained(base).pooler.dense.weight)


def test_other_families_of_encoders_are_trained_too(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

    DistilBertModel(
        DistilBertConfig(vocab_size=9, dim=8, n_layers=2, n_heads=2, hidden_dim=8)
    ).save_pretrained(tmp_path / "distilbert")
    RobertaModel(
        RobertaConfig(
            vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=8, max_position_embeddings=34, pad_token_id=1,
        )
    ).save_pretrained(tmp_path / "roberta")  # fmt: skip

    for family, limit in (("distilbert", 512), ("roberta", 32)):
        model = new_classifier(tmp_path / family, LABELS, "mean")
        ids = torch.full((1, limit), 5)
        assert model(ids, torch.ones_like(ids)).shape == (1, 2)
        assert model.max_tokens == limit
        assert len(layer_list(model.encoder)) == 2


@pytest.mark.parametrize("config", ['{"model_type": "no such thing"}', "{", '{"model_type": "t5"}'])
def test_a_base_that_is_no_encoder_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(InputError, match="not a usable base model"):
        new_classifier(tmp_path, LABELS, "mean")


@pytest.mark.parametrize("content", [None, "{}", "{"])
def test_a_directory_without_a_finished_model_is_refused(
    tmp_path: Path, content: str | None
) -> None:
    if content:
        (tmp_path / "classifier.json").write_text(content)

    with pytest.raises(InputError, match=r"not a finished model|not the description"):
        load_classifier(tmp_path)

"""Learning from a teacher, from the loss to a packaged smaller model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from training.distillation import DistillationLoss, align, check_pairs, uniform_pairs
from training.domain import InputError
from training.encoded_rows import EncodedRow, make_batch
from training.objective import LabelLoss
from training.packaged_model import self_test
from training.terminal import terminal_progress
from training.text_classifier import TextClassifier, new_classifier
from training.training_recipe import Distillation
from training.training_record import read_record

from .conftest import Weir

LABELS = ("negative", "positive")
CPU = torch.device("cpu")
ROWS = [EncodedRow(np.array(ids), 1, "toys") for ids in ([2, 7, 8, 3], [2, 9, 3], [2, 5, 6, 9, 3])]


def loss_of(
    student: TextClassifier,
    teacher: TextClassifier,
    aligned: tuple[bool, ...] = (True, True, True),
    teacher_rows: list[EncodedRow] = ROWS,
    *,
    ask_once: bool = False,
    **settings: float,
) -> torch.Tensor:
    recipe = Distillation(teacher="t", **settings)
    objective = DistillationLoss(
        recipe, LabelLoss(0.0).of_logits, teacher, teacher_rows, aligned,
        check_pairs(recipe, student, teacher), CPU,
    )  # fmt: skip
    if ask_once:
        objective.ask_once(2, 100, terminal_progress())
    return objective(student, make_batch(ROWS, [0, 1, 2], 0, CPU))


@pytest.fixture
def student(thin_base: Path) -> TextClassifier:
    torch.manual_seed(1)
    return new_classifier(thin_base, LABELS, "mean").eval()


@pytest.fixture
def teacher(base: Path) -> TextClassifier:
    torch.manual_seed(2)
    return new_classifier(base, LABELS, "mean").eval()


def test_who_agrees_with_the_teacher_has_nothing_to_learn(student: TextClassifier) -> None:
    loss = loss_of(student, student, soft_weight=1.0, hidden_weight=1.0)

    assert torch.allclose(loss, torch.zeros(3), atol=1e-6)


def test_without_the_teachers_share_only_labels_count(
    student: TextClassifier, teacher: TextClassifier
) -> None:
    labels_only = LabelLoss(0.0)(student, make_batch(ROWS, [0, 1, 2], 0, CPU))

    assert torch.allclose(
        loss_of(student, teacher, soft_weight=0.0, hidden_weight=0.0), labels_only
    )


def test_rows_that_do_not_align_follow_no_hidden_states(
    student: TextClassifier, teacher: TextClassifier
) -> None:
    longer = [*ROWS[:2], EncodedRow(np.array([2, 5, 6, 9, 9, 9, 3]), 1, "toys")]
    some = loss_of(student, teacher, (True, False, False), longer, soft_weight=0.0)
    none = loss_of(student, teacher, (False, False, False), soft_weight=0.0)

    assert some[0] > none[0]
    assert torch.equal(some[1:], none[1:])
    whole = loss_of(student, teacher, soft_weight=0.0)
    assert some[0].item() == pytest.approx(whole[0].item(), rel=1e-5)


def test_asking_once_says_what_asking_each_time_says(
    student: TextClassifier, teacher: TextClassifier
) -> None:
    each = loss_of(student, teacher, hidden_weight=0.0)
    once = loss_of(student, teacher, hidden_weight=0.0, ask_once=True)

    assert torch.allclose(each, once, atol=1e-6)


def test_rows_align_where_both_see_the_same_tokens() -> None:
    ours = [EncodedRow(np.array(ids), 0, "") for ids in ([0, 1], [0, 2], [0, 1, 2], [9])]
    theirs = [EncodedRow(np.array(ids), 0, "") for ids in ([5, 6], [5, 6], [5, 6], [5])]

    assert align(ours, theirs, {0: 5, 1: 6, 2: 7}) == [True, False, False, False]


def test_layers_are_mapped_evenly() -> None:
    assert uniform_pairs(3, 6) == ((0, 0), (1, 2), (2, 4), (3, 6))


def test_a_layer_map_of_other_layers_is_refused(
    student: TextClassifier, teacher: TextClassifier
) -> None:
    with pytest.raises(InputError, match="student layers are 0 to 2, teacher layers 0 to 6"):
        check_pairs(Distillation(teacher="t", layer_map=((3, 6),)), student, teacher)


def test_a_teacher_of_another_width_is_refused_for_hidden_states(
    student: TextClassifier, teacher: TextClassifier
) -> None:
    teacher.config.hidden_size = 64

    with pytest.raises(InputError, match=r"set distillation\.hidden_weight to 0"):
        check_pairs(Distillation(teacher="t"), student, teacher)
    assert check_pairs(Distillation(teacher="t", hidden_weight=0), student, teacher) == ()


def test_a_smaller_model_learns_from_a_run_and_takes_its_place(
    weir: Weir, data: Path, base: Path, built: Path, tmp_path: Path
) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    shutil.copytree(built / "models", models)
    fitted = weir(
        *("fit", data, "--base", base, "--output", run, "--teacher", built / "work" / "toy-1"),
        *("--layers", 3, "--prune-vocabulary", 5, "--max-tokens", 48, "--epochs", 6),
        *("--learning-rate", "0.003"),
    )
    exported = weir("export", run, "--data", data)
    registered = weir(
        *("register", run, "--dev", data, "--name", "toy", "--version", "3"),
        *("--repository", models),
    )

    for result in (fitted, exported, registered):
        assert result.exception is None, result.output
    record = read_record(run / "model")
    assert (record.layers, record.vocabulary < 26) == ((0, 2, 5), True)
    assert record.metrics["toys"]["accuracy"] >= 0.9
    self_test(models / "toy" / "3")
    text = (models / "toy" / "3" / "model.yaml").read_text()
    described = yaml.safe_load(text)
    assert described["training"]["distillation"]["teacher"] == "toy-1"
    assert described["registered"]["version"] == "1"
    assert set(described["metrics"]) == {"other dev", "toys dev"}
    assert str(tmp_path) not in text
    assert str(built) not in text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--teacher", "nowhere"), "nowhere: not a finished run"),
        (("--layers", "x"), "--layers 'x': give a number"),
        (("--layers", "0"), "give 1 or more layers"),
        (("--layers", "9"), "give some of 0 to 1, rising"),
        (("--set", "distillation.temperature=2"), "distillation.teacher: must be given"),
    ],
)
def test_what_cannot_be_distilled_is_refused(
    weir: Weir, data: Path, thin_base: Path, tmp_path: Path, options: tuple[str, ...],
    complaint: str,
) -> None:  # fmt: skip
    result = weir(
        *("fit", data, "--base", thin_base, "--max-tokens", 32, "--output", tmp_path / "run"),
        *options,
    )

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)
    assert not (tmp_path / "run").exists()

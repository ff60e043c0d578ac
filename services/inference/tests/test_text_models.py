"""How the manifest changes what a text model sees and says."""

import math
from pathlib import Path
from typing import Any

import pytest

from inference.domain import Caller, Item, Rejection
from inference.text_encoder import TextEncoder
from inference.version_loading import load_version
from testkit.tiny_model import positive_probability, write_tiny_package

GOOD, BAD, DAY, CLS, SEP = 4, 5, 6, 2, 3


@pytest.mark.parametrize(
    ("truncation", "expected"),
    [
        ("head", [CLS, GOOD, GOOD, GOOD, *[DAY] * 11, SEP]),
        ("tail", [CLS, *[DAY] * 11, BAD, BAD, BAD, SEP]),
        ("head_tail", [CLS, GOOD, GOOD, GOOD, *[DAY] * 8, BAD, BAD, BAD, SEP]),
    ],
)
def test_long_text_keeps_the_part_that_training_kept(
    tmp_path: Path, truncation: str, expected: list[int]
) -> None:
    tokenizer = write_tiny_package(tmp_path) / "tokenizer.json"
    encoded = TextEncoder(tokenizer, 16, truncation).encode(
        "good good good " + "day " * 30 + "bad bad bad"
    )
    assert encoded.token_ids.tolist() == [expected]
    assert (encoded.special_tokens, encoded.unknown_tokens) == (2, 0)


def test_text_that_fits_is_whole_however_long_ones_are_cut(tmp_path: Path) -> None:
    tokenizer = write_tiny_package(tmp_path) / "tokenizer.json"
    for truncation in ("head", "tail", "head_tail"):
        encoded = TextEncoder(tokenizer, 16, truncation).encode("day " * 14)
        assert encoded.token_ids.shape == (1, 16)


def package(root: Path, **manifest: Any) -> Path:
    """One whose golden examples leave room for another temperature."""
    return write_tiny_package(root, **{"golden_tolerance": 0.49} | manifest)


def test_temperature_divides_the_logits(tmp_path: Path) -> None:
    model = load_version(package(tmp_path, temperature=2.0)).model
    prepared = model.prepare(Item("good", Caller("t", "c"), "r"))
    assert not isinstance(prepared, Rejection)
    (scored,) = model.run([prepared])
    plain = positive_probability("good")
    logit = math.log(plain / (1 - plain))
    assert scored.probabilities["positive"] == pytest.approx(1 / (1 + math.exp(-logit / 2)))


def test_texts_run_together_only_where_the_manifest_says_that_they_may(tmp_path: Path) -> None:
    batching = load_version(package(tmp_path)).model.batching
    assert (batching.independent, batching.max_items) == (False, 1)
    options: dict[str, Any] = {
        "batching": {"independent": True, "max_items": 8, "max_padded_tokens": 3},
        "limits": {"max_waiting_items": 9},
    }
    model = load_version(package(tmp_path, version="2", **options)).model
    assert (model.batching.independent, model.batching.max_items) == (True, 8)
    assert model.batching.max_padded_tokens == model.max_size == 16
    assert model.max_waiting_items == 9

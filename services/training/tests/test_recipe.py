"""The recipe's schema and its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from training.domain import InputError
from training.recipe import Recipe
from training.recipe_file import change, explain, make_recipe, read_settings
from training.recipe_section import digest

from .conftest import Weir

SETTINGS = {"data": {"sources": [{"name": "shop", "train": "a.jsonl"}]}}
OWN = Path(__file__).parent.parent / "recipes" / "sentiment.yaml"


def test_the_shipped_recipe_fits_the_schema() -> None:
    recipe = make_recipe(read_settings(OWN), "own")

    assert [source.name for source in recipe.data.sources] == [
        "sst2", "imdb", "amazon-books", "amazon-kitchen", "customer",
    ]  # fmt: skip
    assert all(source.dev or source.dev_share for source in recipe.data.sources)


def test_the_digest_is_that_of_the_values_not_of_their_layout() -> None:
    one = make_recipe(SETTINGS, "one")
    explicit = make_recipe(change(SETTINGS, {"data.seed": 7}), "two")
    other = make_recipe(change(SETTINGS, {"data.seed": 8}), "three")

    assert digest(one) == digest(explicit) != digest(other)


def test_every_key_is_explained(weir: Weir) -> None:
    lines = weir("recipe", "--explain").output.splitlines()

    assert lines == list(explain())
    assert "  # Decides what is held out, sampled and its order." in lines
    assert "None" not in {line.strip("# ") for line in lines}


def test_a_checked_recipe_is_printed_with_its_defaults_and_reads_back(weir: Weir) -> None:
    result = weir("recipe", OWN, "--set", "data.seed=9")

    assert result.exception is None
    again = Recipe.model_validate(yaml.safe_load(result.stdout))
    assert again.data.seed == 9


def test_without_a_recipe_there_is_nothing_to_check(weir: Weir) -> None:
    assert isinstance(weir("recipe").exception, InputError)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("data: [", "not YAML"),
        ("- a list", "no keys"),
        ("name: a\nname: b\n", "line 1: name given twice"),
        ("dta: {}\n", "dta: unknown key, did you mean data?; data: must be given|data: must be"),
        ("data: {sources: []}", "data.sources: Tuple should have at least 1 item"),
        ("data: {sources: [{name: x}]}", "source x: give train, dev or test"),
        ("data: {sources: [{name: X, train: a}]}", r"data\.sources\.0\.name"),
        (
            "data: {sources: [{name: x, train: a}, {name: x, train: b}]}",
            "two sources have the same name",
        ),
        (
            "data: {sources: [{name: x, train: a, dev_share: .5, test_share: .5}]}",
            "leave nothing to train",
        ),
        ("data: {sources: [{name: x, dev: a, dev_share: .5}]}", "held out of train files only"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_by_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match=complaint):
        make_recipe(read_settings(path), "recipe.yaml")


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path / "nowhere.yaml")


def test_the_shipped_model_was_made_by_the_shipped_recipe() -> None:
    package = Path(__file__).parents[3] / "deploy" / "models" / "sentiment" / "2"
    manifest = yaml.safe_load((package / "model.yaml").read_text())

    assert digest(make_recipe(read_settings(OWN), "own")) == manifest["training"]["recipe_sha256"]

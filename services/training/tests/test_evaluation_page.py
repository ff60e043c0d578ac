from __future__ import annotations

import copy
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain import Example
from training.evaluation import evaluate_answers
from training.evaluation_page import evaluation_page
from training.evaluation_rows import Rows
from training.model_comparison import Candidate
from training.resampling import Bootstrap
from training.svg import Scale, ticks_between

VOID = {"meta", "link", "br", "img", "input"}
LOADS = {"src", "href", "srcset", "action", "data", "xlink:href", "poster", "background"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and gathers what the page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def make_document(names: tuple[str, ...], source: str, against: bool = True) -> dict[str, Any]:
    chance = np.random.default_rng(0)
    labels = np.arange(90) % len(names)
    examples = [
        Example(f"hidden{index}", int(label), source if index % 3 else "other")
        for index, label in enumerate(labels)
    ]
    rows = Rows.of(examples, [9 + index for index in range(90)], names)
    description: dict[str, Any] = {"kind": "run", "name": "toy", "version": None, "graph": "torch"}
    description["trained_on_sha256"] = "00"
    models = [
        Candidate(
            description, chance.normal(0, 1, (90, len(names))) + np.eye(len(names))[labels], t
        )
        for t in (1.0, 2.0)
    ]
    return {
        **evaluate_answers(
            rows, models[0], Bootstrap(rows.sources, 20, 1), models[1] if against else None
        ),
        "data": {
            "name": "toys",
            "split": "dev",
            "rows": 90,
            "sha256": "00",
            "sources": {source: 60},
        },
        "created_at": "2026-01-02T03:04:05Z",
    }


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_document(("negative", "positive"), "shop")


def test_the_page_is_whole_and_shows_every_plot(document: dict[str, Any]) -> None:
    page = Page(evaluation_page(document))

    assert page.tags.count("svg") == page.tags.count("figure") == 5
    assert page.tags.count("polyline") > 5
    for said in ("Accuracy", "ECE", "shop (60)", "Against toy (torch)", "McNemar"):
        assert said in page.text


def test_the_page_loads_nothing_and_runs_nothing(document: dict[str, Any]) -> None:
    text = evaluation_page(document)
    page = Page(text)

    assert not {"script", "link", "iframe", "img", "object", "embed", "image"} & set(page.tags)
    assert not LOADS & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert "//" not in text
    assert "default-src 'none'" in text


def test_no_text_of_a_row_is_in_the_page(document: dict[str, Any]) -> None:
    assert "hidden" not in evaluation_page(document)


def test_it_is_made_for_phones_print_and_the_dark(document: dict[str, Any]) -> None:
    text = evaluation_page(document)

    assert 'name="viewport"' in text
    assert "@media print" in text
    assert "prefers-color-scheme:dark" in text


def test_names_are_not_markup() -> None:
    evil = '<script src="http:x">&"'
    text = evaluation_page(make_document((evil, "b"), evil))

    assert "script" not in Page(text).tags
    assert "&lt;script" in text


def test_many_labels_and_no_rival_fit_too() -> None:
    names = tuple(f"label number {index}" for index in range(9))
    page = Page(evaluation_page(make_document(names, "shop", against=False)))

    assert page.tags.count("svg") == 5
    assert "Against" not in page.text


def test_a_figure_that_is_undefined_says_why(document: dict[str, Any]) -> None:
    undefined = copy.deepcopy(document)
    undefined["metrics"]["roc_auc"] = {
        "value": None,
        "low": None,
        "high": None,
        "reason": "every row has the label positive",
    }
    undefined["roc"] = []
    page = Page(evaluation_page(undefined))

    assert "every row has the label positive" in page.text
    assert page.tags.count("svg") == 4


def test_rows_that_the_model_may_have_learned_from_are_told(document: dict[str, Any]) -> None:
    other = {**document, "data": {**document["data"], "sha256": "11"}}

    assert "would flatter it" not in evaluation_page(document)
    assert "would flatter it" in evaluation_page(other)


def test_few_rows_are_said_to_be_too_few_to_calibrate(document: dict[str, Any]) -> None:
    few = copy.deepcopy(document)
    few["calibration"] = {
        "temperature": 1.5,
        "other_half": {"rows": 0, "ece": None},
        "fitted": None,
    }

    assert "too few rows" in Page(evaluation_page(few)).text


@given(st.floats(-1000, 1000), st.floats(0.001, 10_000))
def test_ticks_are_round_and_inside(low: float, span: float) -> None:
    ticks = ticks_between(low, low + span)

    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-6 * span - 1e-6 <= tick <= low + span * 1.000001 + 1e-6 for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_a_scale_is_linear_and_may_run_backwards() -> None:
    scale = Scale(0, 10, 100, 0)

    assert (scale(0), scale(5), scale(10)) == (100, 50, 0)
    assert Scale(1, 1, 5, 9)(1) == 5

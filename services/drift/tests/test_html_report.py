"""The page that people read: complete, self-contained, and safe whatever names it is given."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from drift.domain import Estimate, ModelVersion
from drift.html_report import html_report, style_sha256
from drift.impact import Impact
from drift.report import Onset
from drift.signals import CategoryColumn, Group, Kind, Watched, feature

from .reports import NOW, columns, observed, reference, report

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe\x00\x1b[2J\ud800",
)
VOID = {"meta", "line", "rect", "circle", "path"}


class Page(HTMLParser):
    """What a page consists of; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_says_what_changed_since_when_and_how_sure() -> None:
    since = NOW.replace(day=1)
    page = Page(html_report(report(shift=0.5, earlier={"feature:size": Onset(since, 4)})))
    assert "2 of 3 tested signals have drifted" in page.text
    assert "feature:size 2026-11-01 12:00 UTC 5 0." in page.text
    assert "< 0.0001" in page.text
    assert "Recommended: investigate" in page.text


def test_page_says_what_drift_costs() -> None:
    costly = replace(
        report(shift=0.5), impact=Impact(Estimate(0.8, 0.76, 0.84), 0.9, recalibrated=True)
    )
    text = Page(html_report(costly)).text
    assert "80.0 %" in text
    assert "76.0 % to 84.0 %" in text
    assert "Expected loss: +10.0 points" in text


def test_page_without_drift_says_so() -> None:
    text = Page(html_report(report())).text
    assert "No drift in 3 tested signals" in text
    assert "Recommended: nothing to do" in text


def test_few_rows_are_told_as_not_enough_data() -> None:
    text = Page(html_report(report(rows=5))).text
    assert "Not enough data" in text
    assert "Recommended: wait" in text
    assert "drifted" not in text.replace("Signals that drifted", "")


def test_page_loads_nothing_and_runs_nothing() -> None:
    text = html_report(report(shift=0.5))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "base"} & {t for t, _ in page.elements}
    assert not re.search(r"url\(|@import|https?:", text)
    for _, attributes in page.elements:
        assert not {"style", "src", "href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]


def test_hash_of_the_style_sheet_is_that_of_the_page() -> None:
    style = re.search(r"<style>(.*?)</style>", html_report(report()), re.DOTALL)
    assert style is not None
    digest = hashlib.sha256(style.group(1).encode()).digest()
    assert base64.b64encode(digest).decode() == style_sha256()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_words(name: str) -> None:
    shown = Watched(name, Group.TABULAR, Kind.CATEGORY)
    rows = {shown: CategoryColumn([name, "ok"] * 500), feature(name): np.arange(1000.0)}
    before = {shown: CategoryColumn(["ok"] * 999 + [name]), feature(name): np.arange(1000.0)}
    against = reference(ModelVersion(name, name), source=name, window=observed(1000, before))
    text = html_report(report(of=rows, against=against))
    page = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert not {"\x00", "\x1b", "\u202e", "\ud800"} & set(text)
    assert "49" not in page.of("title")
    assert len(page.of("h1")) == 1


def test_page_of_a_hundred_signals_is_small() -> None:
    random = np.random.default_rng(1)
    many = {feature(f"number {place}"): random.normal(size=1000) for place in range(60)}
    kinds = [Watched(f"kind {place}", Group.TABULAR, Kind.CATEGORY) for place in range(40)]
    words = [f"a category with a long name, number {place}" for place in range(300)]
    many |= {kind: CategoryColumn(random.choice(words, 1000).tolist()) for kind in kinds}
    text = html_report(report(of=many, against=reference(window=observed(1000, many))))
    assert text.count("<figure>") == 100
    assert len(text.encode()) < 500_000


def test_page_can_be_read_without_seeing_it() -> None:
    page = Page(html_report(report(shift=0.5)))
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("caption")) == len(page.of("table")) > 0
    assert len(page.of("svg")) == len([svg for svg in page.of("svg") if svg["role"] == "img"])
    # One for the page itself.
    assert len(page.of("title")) == len(page.of("svg")) + 1
    headings = {heading["id"] for heading in page.of("h2")}
    assert {section["aria-labelledby"] for section in page.of("section")} == headings
    assert all(cell.get("scope") for cell in page.of("th"))


def test_constant_and_empty_signals_are_drawn() -> None:
    rows = {**columns(1000), feature("size"): np.ones(1000)}
    text = Page(html_report(report(of=rows, against=reference(window=observed(1000, rows))))).text
    assert "constant" in text

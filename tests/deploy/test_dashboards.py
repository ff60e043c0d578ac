"""Dashboards are what their source says, and each panel can be read by somebody just woken."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.alert_rules import OBSERVABILITY, REPOSITORY

DASHBOARDS = sorted((OBSERVABILITY / "dashboards").glob("*.json"))


def panels(file: Path) -> Iterator[dict[str, Any]]:
    for panel in json.loads(file.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


def test_rendered_dashboards_and_the_charts_copies_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dashboards_source", "--check"],
        env={**os.environ, "PYTHONPATH": str(OBSERVABILITY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_has_the_same_alerts() -> None:
    copies = REPOSITORY / "helm/weir/files/alerts"
    for source in (OBSERVABILITY / "alerts").glob("*.yaml"):
        assert (copies / source.name).read_bytes() == source.read_bytes()


def test_there_is_one_for_every_question() -> None:
    assert {file.stem for file in DASHBOARDS} == {
        *("overview", "gateway", "inference", "log", "drift", "service-levels"),
    }


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_first_row_says_whether_users_are_hurt(file: Path) -> None:
    first, second, *_ = json.loads(file.read_text())["panels"]
    assert (first["type"], first["title"]) == ("row", "Are users hurt?")
    assert second["type"] == "stat"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_has_unit_description_and_thresholds(file: Path) -> None:
    for panel in panels(file):
        shown = panel["fieldConfig"]["defaults"]
        assert shown["unit"], panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert len(shown["thresholds"]["steps"]) == 3, panel["title"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_do_not_lie_on_each_other(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(file.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

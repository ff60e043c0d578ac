"""What holds for every workflow, beside what their schema and zizmor check."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"uses: (?:\$/|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$)")


def content_of(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


JOBS = [
    pytest.param(job, id=f"{file.stem}-{name}")
    for file in FILES
    for name, job in content_of(file)["jobs"].items()
]


def test_there_is_a_workflow_for_all_that_is_promised() -> None:
    names = {"lint", "test", "images", "chart", "security", "release"}
    assert {file.stem for file in FILES} == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit_and_tell_their_version(file: Path) -> None:
    used = [line.strip(" -") for line in file.read_text().splitlines() if " uses:" in line]
    assert used
    assert [line for line in used if not _PINNED.search(line)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_workflow_grants_nothing_and_runs_once_per_branch(file: Path) -> None:
    content = content_of(file)
    assert content["permissions"] == {}
    assert content["concurrency"]["group"]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_says_what_it_may_and_for_how_long(job: dict[str, Any]) -> None:
    assert job["permissions"]["contents"] in ("read", "write")
    assert "uses" in job or job["timeout-minutes"] <= 90


@pytest.mark.parametrize("job", JOBS)
def test_a_checkout_leaves_no_credentials(job: dict[str, Any]) -> None:
    for step in job.get("steps", ()):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}

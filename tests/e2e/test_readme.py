"""The README's own words, run as they stand."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from testkit.platform import Platform, wait_until

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def directory(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """A working directory whose `.weir` is the running platform's home."""
    (tmp_path / ".weir").symlink_to(platform.home.path)
    platform.home.endpoints_file.write_text(json.dumps(asdict(platform.endpoints)))
    yield tmp_path
    platform.home.endpoints_file.unlink()


def test_pasted_commands_get_a_token_a_prediction_and_its_row(
    platform: Platform, directory: Path
) -> None:
    script = "set -euo pipefail\n" + "echo\n".join(blocks("bash")[:3])
    script = script.replace("http://127.0.0.1:8080", platform.endpoints.http)
    done = subprocess.run(
        ["bash", "-c", script], cwd=directory, capture_output=True, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines() if line]
    prediction, page, stats, report = answers
    assert prediction["predicted_sentiment"] == "positive"
    assert "predictions" in page
    assert stats["predictions"] >= 0
    assert report["model"] == "sentiment"


def test_internal_caller_is_logged_under_its_own_identity(
    directory: Path, api: httpx.Client
) -> None:
    (script,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"no_proxy": "*"},
    )
    assert 'label: "positive"' in done.stdout
    found = re.search(r'prediction_id: "(.*?)"', done.stdout)
    assert found is not None
    path = f"/v1/predictions/{found[1]}"
    wait_until(lambda: api.get(path).status_code == 200, path, within=2.0)
    row = api.get(path).json()
    assert (row["client_id"], row["delegate_id"]) == ("demo", None)


def test_internal_caller_without_a_token_is_unauthenticated(directory: Path) -> None:
    (script,) = blocks("python")
    script = script.replace('metadata=[("authorization", f"Bearer {token}")],', "")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"no_proxy": "*"},
    )
    assert done.returncode != 0
    assert "StatusCode.UNAUTHENTICATED" in done.stderr

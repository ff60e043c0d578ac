"""A backup of the running platform, and what restoring it gives back."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import httpx
import pytest

from testkit.platform import Platform, wait_until
from weir_local.backup_file import read_manifest
from weir_local.scratch_server import server_of


def weir_local(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weir_local", *arguments],
        env=os.environ | {"WEIR_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


async def predictions_in(sockets: Path) -> set[str]:
    connection = await asyncpg.connect(user="postgres", database="postgres", host=str(sockets))
    try:
        return {str(row["id"]) for row in await connection.fetch("SELECT id FROM prediction_logs")}
    finally:
        await connection.close()


# Beside the platform two more servers are made; a busy machine takes its time over that.
@pytest.mark.timeout(300)
def test_backup_under_traffic_is_one_moment_of_the_log_and_can_be_restored(
    platform: Platform, api: httpx.Client, tmp_path: Path
) -> None:
    def predict() -> str:
        answer = api.post("/predict", json={"text": "A film to keep."})
        answer.raise_for_status()
        return str(answer.json()["prediction_id"])

    def logged(prediction_id: str) -> bool:
        return api.get(f"/v1/predictions/{prediction_id}").status_code == 200

    before = [predict() for _ in range(20)]
    wait_until(lambda: logged(before[-1]), "the log")
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            predict()

    traffic = threading.Thread(target=go_on)
    traffic.start()
    try:
        made = weir_local(platform.home.path, "backup", str(tmp_path / "log.weir"))
    finally:
        done.set()
        traffic.join()
    assert made.returncode == 0, made.stderr

    refused = weir_local(platform.home.path, "restore", str(tmp_path / "log.weir"), "--force")
    assert refused.returncode == 1
    assert "already running in" in refused.stderr

    restored = weir_local(tmp_path / "new", "restore", str(tmp_path / "log.weir"))
    assert restored.returncode == 0, restored.stderr
    with server_of(tmp_path / "new" / "postgres") as sockets:
        held = asyncio.run(predictions_in(sockets))
    assert held >= set(before)
    assert len(held) == read_manifest(tmp_path / "log.weir").facts.rows["prediction_logs"]

"""Full disks, in a process that may mount some."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.small_disk import own_mounts

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(400)
def test_full_disks_under_the_stores_lose_nothing_and_heal() -> None:
    done = subprocess.run(
        [*own_mounts(), sys.executable, "-m", "chaos.full_disks"],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

"""Tests of the services on stores in containers instead of those that come as wheels."""

import os
import subprocess

import pytest

from containers.images import REPOSITORY, build_environment

pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("python", "files"),
    [
        (".venv/bin/python", ["libs/servicekit/tests/test_event_stream.py"]),
        (
            ".venvs/prediction_log/bin/python",
            [
                "services/prediction_log/tests/test_schema.py",
                "services/prediction_log/tests/test_many_consumers.py",
                "services/prediction_log/tests/test_watches.py",
            ],
        ),
    ],
    ids=["event streams, with a Redis that is stopped and frozen", "the log, with its PostgreSQL"],
)
def test_they_pass_on_stores_in_containers(python: str, files: list[str]) -> None:
    environment = {
        **build_environment(),
        "WEIR_TEST_STORES": "containers",
        # It removes what tests leave behind, and is one image more; these fixtures leave nothing.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-c", "pyproject.toml", *files],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    print(done.stdout.splitlines()[-1], os.environ.get("REDIS_IMAGE", ""))

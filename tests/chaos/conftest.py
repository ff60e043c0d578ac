"""A platform whose stores the tests here take away, one test after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.platform import Platform, running_platform

# What consumers have read is dropped within a second.
SETTINGS = {"WEIR_TRIM_INTERVAL": "1"}


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """Each test leaves it healthy."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    with running_platform(home, models, SETTINGS) as running:
        yield running

"""Platforms for tests that need several services."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.platform import Platform, running_platform

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def models() -> Path:
    """The model packages that come with the repository."""
    return REPOSITORY / "deploy" / "models"


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """A platform that tests share; those that break one start their own."""
    with running_platform(tmp_path_factory.mktemp("platform"), models) as running:
        yield running


@pytest.fixture
def api(platform: Platform) -> Iterator[httpx.Client]:
    """The demo client's HTTP client."""
    with platform.client() as client:
        yield client

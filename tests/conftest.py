"""Platforms for tests that need several services."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.otlp import OtlpReceiver, running_receiver
from testkit.platform import Platform, running_platform

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def models() -> Path:
    """The model packages that come with the repository."""
    return REPOSITORY / "deploy" / "models"


@pytest.fixture(scope="session")
def spans() -> Iterator[OtlpReceiver]:
    """Receives the spans of the shared platform."""
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, models: Path, spans: OtlpReceiver
) -> Iterator[Platform]:
    """A platform that tests share; those that break one start their own."""
    settings = {"WEIR_OTLP_ENDPOINT": spans.endpoint}
    with running_platform(tmp_path_factory.mktemp("platform"), models, settings) as running:
        yield running


@pytest.fixture
def api(platform: Platform) -> Iterator[httpx.Client]:
    """The demo client's HTTP client."""
    with platform.client() as client:
        yield client

"""Images and a stack that the tests share."""

from collections.abc import Iterator

import pytest

from containers.images import make_images, require_docker
from containers.stack import Stack, running_stack


@pytest.fixture(scope="session")
def images() -> None:
    """The services' images, built from this working copy."""
    require_docker()
    make_images()


@pytest.fixture(scope="session")
def stack(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole platform in containers, healthy."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running

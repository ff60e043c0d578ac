"""The platform that other tests share, with two tenants more."""

import pytest
from security.world import World, world_on

from testkit.platform import Platform


@pytest.fixture(scope="session")
def world(platform: Platform) -> World:
    """Two tenants, and what belongs to one of them."""
    return world_on(platform)

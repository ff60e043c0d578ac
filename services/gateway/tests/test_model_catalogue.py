"""What is remembered of models, and for how long."""

import pytest

from gateway.errors import ModelUnknown
from gateway.inference_client import Model
from gateway.model_catalogue import ModelCatalogue
from servicekit.errors import Unavailable


class Source:
    """A source of models that a test switches off."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    async def get_model(self, name: str) -> Model:
        self.asked += 1
        if self.failure:
            raise self.failure
        return Model(name, "t", (), (), max_characters=10, max_tokens=5)


async def test_model_is_remembered_for_a_while() -> None:
    now = 0.0
    source = Source()
    catalogue = ModelCatalogue(source, lifetime=30, clock=lambda: now)
    await catalogue.find("m")
    now = 29.0
    await catalogue.find("m")
    assert source.asked == 1
    now = 30.0
    await catalogue.find("m")
    assert source.asked == 2


async def test_old_description_does_while_inference_is_away() -> None:
    source = Source()
    catalogue = ModelCatalogue(source, lifetime=0)
    await catalogue.find("m")
    source.failure = Unavailable("Away.")
    assert (await catalogue.find("m")).name == "m"
    with pytest.raises(Unavailable):
        await catalogue.find("other")


async def test_unloaded_model_is_forgotten() -> None:
    source = Source()
    catalogue = ModelCatalogue(source, lifetime=0)
    await catalogue.find("m")
    source.failure = ModelUnknown("Gone.")
    with pytest.raises(ModelUnknown):
        await catalogue.find("m")
    source.failure = Unavailable("Away.")
    with pytest.raises(Unavailable):
        await catalogue.find("m")

"""Models that are loaded and unloaded by hand."""

import pytest

from inference import repository_watch
from inference.domain import ModelControlDisabled, ModelLoadFailed, ModelNotLoaded, ModelUnknown
from inference.model_control import ModelControl
from inference.model_repository import VersionState

from .served import ITEM, Served, break_golden


async def test_version_put_away_by_hand_stays_out_until_the_routing_changes(
    served: Served,
) -> None:
    served.add("2")
    served.route(v1=50, v2=50)
    await served.watch.look()
    await served.control.unload("sentiment", "2")
    assert served.state("2")[0] is VersionState.UNLOADED
    assert await served.answering() == "1"
    assert served.state("2")[0] is VersionState.UNLOADED
    served.route(v1=0, v2=100)
    assert await served.answering() == "2"


async def test_model_put_away_whole_is_not_loaded_and_comes_back_when_asked_for(
    served: Served,
) -> None:
    await served.control.unload("sentiment")
    with pytest.raises(ModelNotLoaded):
        await served.answering()
    await served.control.load("sentiment")
    assert await served.answering() == "1"


async def test_version_without_a_share_is_loaded_by_hand_and_stays(served: Served) -> None:
    served.add("2")
    await served.watch.look()
    assert [(each.version, each.state) for each in served.control.index()] == [
        ("1", VersionState.READY),
        ("2", VersionState.UNLOADED),
    ]
    await served.control.load("sentiment", "2")
    assert await served.answering() == "1"
    assert served.repository.select("sentiment", "2", ITEM).model.version == "2"
    await served.control.unload("sentiment", "2")
    assert served.state("2")[0] is VersionState.UNLOADED


async def test_load_by_hand_says_why_a_version_must_not_serve_and_tries_it_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_golden(served.add("2"))
    for _ in range(2):
        with pytest.raises(ModelLoadFailed, match="golden example is off"):
            await served.control.load("sentiment", "2")
    with monkeypatch.context() as patched:
        patched.setattr(repository_watch, "load_version", lambda directory: 1 / 0)
        with pytest.raises(ModelLoadFailed, match="ZeroDivisionError"):
            await served.control.load("sentiment", "2")


@pytest.mark.parametrize(("model", "version"), [("x", ""), ("../x", "1"), ("sentiment", "../1")])
async def test_what_there_is_no_package_of_cannot_be_loaded(
    served: Served, model: str, version: str
) -> None:
    with pytest.raises(ModelUnknown):
        await served.control.load(model, version)
    with pytest.raises(ModelUnknown):
        await served.control.unload(model, version)


async def test_without_leave_nothing_is_loaded_by_hand(served: Served) -> None:
    control = ModelControl(served.repository, served.watch, "none")
    with pytest.raises(ModelControlDisabled):
        await control.load("sentiment")
    with pytest.raises(ModelControlDisabled):
        await control.unload("sentiment")
    assert control.index()

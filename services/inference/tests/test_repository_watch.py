"""What is served follows the repository's files; what is good is never given up for what is not."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference import repository_watch
from inference.domain import ModelNotLoaded, ModelUnknown
from inference.model_repository import VersionState
from inference.repository_watch import FAULTS, LOADS
from inference.version_loading import LoadedVersion, load_version
from testkit.tiny_model import write_tiny_package

from .served import (
    ITEM,
    Served,
    break_golden,
    break_graph,
    break_hash,
    break_manifest,
    leave_out,
)


async def test_new_version_takes_over_and_the_old_one_goes(served: Served) -> None:
    assert await served.answering() == "1"
    served.add("2")
    served.route(v2=100)
    assert await served.answering() == "2"
    assert served.state("1")[0] is VersionState.UNLOADED


@pytest.mark.parametrize(
    "damage", [break_golden, break_hash, break_manifest, break_graph, leave_out]
)
async def test_broken_new_version_never_replaces_a_good_one(
    served: Served, damage: Callable[[Path], None]
) -> None:
    damage(served.add("2"))
    served.route(v2=100)
    for _ in range(2):
        assert await served.answering() == "1"
    state, reason = served.state("2")
    assert (state, bool(reason)) == (VersionState.UNAVAILABLE, True)
    assert served.repository.model("sentiment").reason == "routing.yaml waits for version 2"
    assert FAULTS._value.get() == 2
    with pytest.raises(ModelNotLoaded):
        served.repository.select("sentiment", "2", ITEM)


async def test_mended_version_is_tried_again_and_a_broken_one_is_not(served: Served) -> None:
    def refused() -> float:
        return LOADS.labels("sentiment", "refused")._value.get()

    before = refused()
    directory = served.add("2")
    break_golden(directory)
    served.route(v2=100)
    for _ in range(3):
        assert await served.answering() == "1"
    assert refused() == before + 1
    shutil.rmtree(directory)
    served.add("2")
    assert await served.answering() == "2"
    assert FAULTS._value.get() == 0


async def test_package_that_is_still_being_written_is_no_error(served: Served) -> None:
    manifest = served.add("2") / "model.yaml"
    content = manifest.read_text()
    manifest.unlink()
    served.route(v1=50, v2=50)
    before = LOADS.labels("sentiment", "refused")._value.get()
    assert await served.answering() == "1"
    assert served.state("2") == (VersionState.UNAVAILABLE, "its package is not there yet")
    assert LOADS.labels("sentiment", "refused")._value.get() == before
    manifest.write_text(content)
    await served.watch.look()
    assert served.state("2") == (VersionState.READY, "")


@pytest.mark.parametrize("content", ["versions: {'1': 50}", "versions: [", None])
async def test_last_good_routing_serves_on_while_the_file_is_broken(
    served: Served, content: str | None
) -> None:
    routing = served.root / "sentiment" / "routing.yaml"
    good = routing.read_text()
    routing.unlink()
    if content is not None:
        routing.write_text(content)
    assert await served.answering() == "1"
    assert "routing.yaml" in served.repository.model("sentiment").reason
    routing.write_text(good)
    assert await served.answering() == "1"
    assert served.repository.model("sentiment").reason == ""


@pytest.mark.parametrize("harm", ["emptied", "gone"])
async def test_repository_that_vanishes_takes_no_model_along(served: Served, harm: str) -> None:
    shutil.rmtree(served.root)
    if harm == "emptied":
        served.root.mkdir()
    assert await served.answering() == "1"
    assert FAULTS._value.get() == 1


async def test_model_that_is_taken_away_is_unloaded(served: Served) -> None:
    write_tiny_package(served.root, name="other")
    shutil.rmtree(served.root / "sentiment")
    await served.watch.look()
    assert list(served.repository.names()) == ["other"]
    with pytest.raises(ModelUnknown):
        served.repository.select("sentiment", "", ITEM)


async def test_files_that_change_under_a_loaded_version_are_told_and_not_loaded(
    served: Served,
) -> None:
    loaded = served.repository.select("sentiment", "", ITEM)
    card = served.root / "sentiment" / "1" / "MODEL_CARD.md"
    card.write_text("Nothing that serves.")
    await served.watch.look()
    assert served.state("1") == (VersionState.READY, "")
    break_golden(card.parent)
    await served.watch.look()
    state, reason = served.state("1")
    assert (state, "immutable" in reason) == (VersionState.READY, True)
    assert served.repository.select("sentiment", "", ITEM) is loaded
    shutil.rmtree(card.parent)
    await served.watch.look()
    assert "gone" in served.state("1")[1]
    assert served.repository.select("sentiment", "", ITEM) is loaded


async def test_at_the_start_the_good_version_serves_beside_a_broken_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as loader:
        served = Served(tmp_path, loader)
        served.add("1")
        break_golden(served.add("2"))
        served.route(v1=1, v2=99)
        assert await served.answering() == "1"
        assert served.state("2")[0] is VersionState.UNAVAILABLE


async def test_model_whose_only_version_is_broken_is_unavailable_and_not_unknown(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(1) as loader:
        served = Served(tmp_path, loader)
        break_golden(served.add("1"))
        await served.watch.look()
        with pytest.raises(ModelNotLoaded) as caught:
            served.repository.select("sentiment", "", ITEM)
        assert (caught.value.code, caught.value.retry_after) == ("MODEL_NOT_LOADED", 5.0)
        with pytest.raises(ModelUnknown):
            served.repository.select("sentiment", "7", ITEM)


async def test_old_version_answers_while_the_new_one_loads(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def load_slowly(directory: Path) -> LoadedVersion:
        started.set()
        go_on.wait()
        return load_version(directory)

    monkeypatch.setattr(repository_watch, "load_version", load_slowly)
    served.add("2")
    served.route(v2=100)
    looking = asyncio.create_task(served.watch.look())
    await asyncio.to_thread(started.wait)
    assert served.repository.select("sentiment", "", ITEM).model.version == "1"
    assert served.state("2")[0] is VersionState.LOADING
    go_on.set()
    await looking
    assert served.repository.select("sentiment", "", ITEM).model.version == "2"


async def test_fault_that_nobody_expected_is_one_version_s_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out_of_memory(directory: Path) -> LoadedVersion:
        raise MemoryError

    monkeypatch.setattr(repository_watch, "load_version", run_out_of_memory)
    served.add("2")
    served.route(v2=100)
    assert await served.answering() == "1"
    assert "MemoryError" in served.state("2")[1]

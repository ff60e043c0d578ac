"""Which version answers whom."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.domain import Caller, Item, ModelUnknown
from inference.model_repository import load_repository
from inference.package import PackageInvalid
from inference.routing import read_routing
from testkit.tiny_model import write_routing, write_tiny_package

SHARES = {"1": 80, "2": 20}


def write(directory: Path, **content: Any) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "routing.yaml").write_text(yaml.safe_dump(content))
    return directory


def item(client: str = "c", *, subject: str = "", request: str = "r") -> Item:
    return Item("good", Caller("acme", client), request, subject=subject)


@pytest.mark.parametrize("sticky", ["client", "subject", "request"])
def test_shares_split_what_they_are_sticky_by_and_each_stays(tmp_path: Path, sticky: str) -> None:
    routing = read_routing(write(tmp_path / "m", versions=SHARES, sticky=sticky))
    items = [
        {"client": item(each), "subject": item(subject=each), "request": item(request=each)}[sticky]
        for each in map(str, range(1000))
    ]
    chosen = [routing.choose("m", each, {"1", "2"}) for each in items]
    assert chosen == [routing.choose("m", each, {"1", "2"}) for each in items]
    assert 750 < chosen.count("1") < 850


def test_sticky_by_subject_falls_back_to_the_client(tmp_path: Path) -> None:
    routing = read_routing(write(tmp_path / "m", versions=SHARES, sticky="subject"))
    by_client = read_routing(write(tmp_path / "m", versions=SHARES))
    for each in map(str, range(50)):
        assert routing.choose("m", item(each), SHARES) == by_client.choose("m", item(each), SHARES)


def test_growing_share_moves_nobody_away_from_the_version_that_grows(tmp_path: Path) -> None:
    clients = [item(str(number)) for number in range(300)]
    before = read_routing(write(tmp_path / "m", versions={"1": 90, "2": 10}))
    after = read_routing(write(tmp_path / "m", versions={"1": 70, "2": 30}))
    for each in clients:
        if before.choose("m", each, SHARES) == "2":
            assert after.choose("m", each, SHARES) == "2"


def test_share_of_a_version_that_is_not_there_goes_to_the_others(tmp_path: Path) -> None:
    routing = read_routing(write(tmp_path / "m", versions={"1": 50, "2": 50, "3": 0}))
    chosen = {routing.choose("m", item(str(number)), {"1", "3"}) for number in range(50)}
    assert chosen == {"1"}
    assert routing.choose("m", item(), {"3"}) is None


def test_named_version_is_taken_whatever_its_share(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        write_tiny_package(tmp_path, version=version)
    write(tmp_path / "sentiment", versions={"1": 100, "2": 0}, shadow=["3"])
    repository = load_repository(tmp_path)
    for version in ("1", "2", "3"):
        assert repository.select("sentiment", version, item()).model.version == version
    assert repository.select("sentiment", "", item()).model.version == "1"
    (shadow,) = repository.model("sentiment").shadows
    assert shadow.model.version == "3"
    with pytest.raises(ModelUnknown, match="version '4'"):
        repository.select("sentiment", "4", item())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"versions": {"1": 50}}, "add up to 100"),
        ({"versions": {"1": 200, "2": -100}}, "add up to 100"),
        ({"versions": {}}, "versions"),
        ({"versions": {"1": "all"}}, "versions.1"),
        ({"versions": {"../1": 100}}, "name"),
        ({"versions": {"1": 100}, "shadow": ["a/b"]}, "name"),
        ({"versions": {"1": 100}, "shadow": ["1"]}, "cannot shadow"),
        ({"versions": {"1": 100}, "sticky": "colour"}, "sticky"),
    ],
)
def test_wrong_routing_is_refused_with_its_fault(
    tmp_path: Path, content: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(PackageInvalid, match=complaint):
        read_routing(write(tmp_path / "m", **content))


def test_routing_of_the_tests_own_packages_is_read(tmp_path: Path) -> None:
    write_tiny_package(tmp_path)
    write_routing(tmp_path / "sentiment", {"1": 100})
    assert read_routing(tmp_path / "sentiment").answering == ("1",)

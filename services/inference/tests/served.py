"""A model repository that is looked at when the test says so, and ways to break it."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inference.domain import Caller, Item
from inference.model_control import ModelControl
from inference.model_repository import ModelRepository, VersionState
from inference.repository_watch import RepositoryWatch
from testkit.tiny_model import write_manifest, write_routing, write_tiny_package

ITEM = Item("good", Caller("acme", "a-1"), "r-1")


class Served:
    """A repository that is looked at when the test says so."""

    def __init__(self, root: Path, loader: ThreadPoolExecutor) -> None:
        self.root = root
        self.repository = ModelRepository()
        self.watch = RepositoryWatch(root, self.repository, loader)
        self.control = ModelControl(self.repository, self.watch, "explicit")

    async def answering(self) -> str:
        """The version that answers after another look."""
        await self.watch.look()
        return self.repository.select("sentiment", "", ITEM).model.version

    def route(self, **shares: int) -> None:
        write_routing(self.root / "sentiment", {name[1:]: share for name, share in shares.items()})

    def add(self, version: str) -> Path:
        """Adds a version, and leaves the routing as it is."""
        routing = self.root / "sentiment" / "routing.yaml"
        before = routing.read_text() if routing.exists() else None
        directory = write_tiny_package(self.root, version=version)
        if before is not None:
            routing.write_text(before)
        return directory

    def state(self, version: str) -> tuple[VersionState, str]:
        status = self.repository.model("sentiment").versions[version]
        return status.state, status.reason


def break_golden(directory: Path) -> None:
    (directory / "golden.jsonl").write_text(
        '{"text": "good", "probabilities": {"negative": 0.9, "positive": 0.1}}'
    )
    write_manifest(directory)


def break_hash(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{}")


def break_manifest(directory: Path) -> None:
    (directory / "model.yaml").write_text("format: [")


def break_graph(directory: Path) -> None:
    (directory / "model.onnx").write_bytes(b"no graph")
    write_manifest(directory)


def leave_out(directory: Path) -> None:
    shutil.rmtree(directory)

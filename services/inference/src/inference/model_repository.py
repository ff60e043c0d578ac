"""The models that are loaded, and which version answers whom."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from inference.domain import Caller, ModelUnknown
from inference.package import ModelPackage, PackageInvalid, read_package, read_routing
from inference.runnable import RunnableModel
from inference.text_classifier import load_classifier

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version that passed its self-test."""

    package: ModelPackage
    model: RunnableModel
    traffic_percent: int
    loaded_at: datetime


class ModelRepository:
    """Answers which loaded version takes a call."""

    def __init__(self, versions: Mapping[str, Mapping[str, LoadedVersion]]) -> None:
        self._models = versions

    def names(self) -> Sequence[str]:
        """Names of the models, sorted."""
        return sorted(self._models)

    def versions(self, model: str) -> Mapping[str, LoadedVersion]:
        """The loaded versions of a model, by version.

        Raises:
            ModelUnknown: there is no such model.
        """
        try:
            return self._models[model]
        except KeyError:
            raise ModelUnknown(f"There is no model {model!r}.") from None

    def select(self, model: str, version: str, caller: Caller) -> LoadedVersion:
        """The version that answers a caller: the one it names, else by the versions' shares.

        A caller stays with its version as long as the shares do.

        Raises:
            ModelUnknown: there is no such model or version.
        """
        versions = self.versions(model)
        if version:
            try:
                return versions[version]
            except KeyError:
                message = f"Model {model!r} has no version {version!r}."
                raise ModelUnknown(message) from None
        if len(versions) == 1:
            return next(iter(versions.values()))
        place = _place_in_percent(f"{model}\0{caller.tenant}\0{caller.client_id}")
        for loaded in versions.values():
            place -= loaded.traffic_percent
            if place < 0:
                return loaded
        raise AssertionError("the shares add up to 100")

    def __iter__(self) -> Iterator[LoadedVersion]:
        for versions in self._models.values():
            yield from versions.values()


def load_repository(root: Path) -> ModelRepository:
    """Loads every version that takes traffic, of every model under `root`.

    Raises:
        PackageInvalid: there is no model, or one of them must not serve.
    """
    models: dict[str, dict[str, LoadedVersion]] = {}
    for routing_file in sorted(root.glob("*/routing.yaml")):
        directory = routing_file.parent
        routing = read_routing(directory)
        models[directory.name] = {
            version: _load_version(directory / version, share)
            for version, share in sorted(routing.versions.items())
        }
    if not models:
        raise PackageInvalid(f"{root}: there is no model package here")
    return ModelRepository(models)


def _load_version(directory: Path, traffic_percent: int) -> LoadedVersion:
    package = read_package(directory)
    loaded = LoadedVersion(package, load_classifier(package), traffic_percent, datetime.now(UTC))
    manifest = package.manifest
    _log.info(
        "model_loaded",
        model=manifest.name,
        version=manifest.version,
        golden_examples=len(package.golden),
        traffic_percent=traffic_percent,
    )
    return loaded


def _place_in_percent(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % 100

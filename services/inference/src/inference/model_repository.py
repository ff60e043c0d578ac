"""The models as they are served now, and which version answers whom."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from inference.domain import Item, ModelNotLoaded, ModelUnknown
from inference.package import PackageInvalid
from inference.routing import Routing, read_routing
from inference.version_loading import LoadedVersion as LoadedVersion
from inference.version_loading import load_version

_RETRY = 5.0
"""Seconds: the repository is looked at about as often."""


class VersionState(Enum):
    """How far a version is from answering."""

    LOADING = auto()
    READY = auto()
    UNAVAILABLE = auto()
    """It could not be loaded, or failed its self-test."""
    UNLOADED = auto()
    """Its package is there, and nobody wants it loaded."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version of a model, as it stands."""

    version: str
    state: VersionState
    reason: str = ""
    """Why it is unavailable; of a ready one, what is odd about it."""
    traffic_percent: int = 0
    shadow: bool = False
    loaded: LoadedVersion | None = None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model, as it stands; never changed, only replaced as a whole."""

    name: str
    routing: Routing | None
    """The one in force, which a broken file or version does not replace."""
    versions: Mapping[str, VersionStatus]
    reason: str = ""
    """Why `routing.yaml` is not what is in force; empty when it is."""
    loaded: Mapping[str, LoadedVersion] = field(init=False)
    shadows: tuple[LoadedVersion, ...] = field(init=False)
    """Versions that see what the others answered."""

    def __post_init__(self) -> None:
        loaded = {name: each.loaded for name, each in self.versions.items() if each.loaded}
        names = self.routing.shadow if self.routing else ()
        shadows = tuple(loaded[name] for name in names if name in loaded)
        object.__setattr__(self, "loaded", loaded)
        object.__setattr__(self, "shadows", shadows)

    @property
    def answers(self) -> bool:
        """Whether a call that names no version is answered."""
        return self.routing is not None and any(
            version in self.loaded for version in self.routing.answering
        )

    @property
    def faults(self) -> int:
        """Things about it that somebody should see to."""
        return bool(self.reason) + sum(
            each.state is VersionState.UNAVAILABLE or bool(each.reason)
            for each in self.versions.values()
            if each.state is not VersionState.UNLOADED
        )


class ModelRepository:
    """Answers which loaded version takes an item. Only the event loop's thread may touch it."""

    def __init__(self, models: Mapping[str, ModelStatus] | None = None) -> None:
        self._models = dict(models or {})

    def replace(self, models: Mapping[str, ModelStatus]) -> None:
        """From now on these are the models. What runs on a version that is gone runs on."""
        self._models = dict(models)

    def names(self) -> Sequence[str]:
        """Names of the models, sorted."""
        return sorted(self._models)

    def model(self, name: str) -> ModelStatus:
        """How a model stands.

        Raises:
            ModelUnknown: there is no such model.
        """
        try:
            return self._models[name]
        except KeyError:
            raise ModelUnknown(f"There is no model {name!r}.") from None

    def versions(self, model: str) -> Mapping[str, LoadedVersion]:
        """The loaded versions of a model, by version.

        Raises:
            ModelUnknown: there is no such model.
        """
        return self.model(model).loaded

    def select(self, model: str, version: str, item: Item) -> LoadedVersion:
        """The version that answers an item: the one that is named, else by the routing.

        Raises:
            ModelUnknown: there is no such model or version.
            ModelNotLoaded: there is, and it cannot answer.
        """
        status = self.model(model)
        chosen = version or (
            status.routing.choose(model, item, status.loaded) if status.routing else None
        )
        if chosen is None:
            raise ModelNotLoaded(f"No version of model {model!r} is loaded.", retry_after=_RETRY)
        return self.version(model, chosen)

    def version(self, model: str, version: str) -> LoadedVersion:
        """One version of a model.

        Raises:
            ModelUnknown: there is no such model or version.
            ModelNotLoaded: there is, and it cannot answer.
        """
        status = self.model(model)
        loaded = status.loaded.get(version)
        if loaded is not None:
            return loaded
        known = status.versions.get(version)
        if known is None or known.state is VersionState.UNLOADED:
            raise ModelUnknown(f"Model {model!r} has no version {version!r}.")
        message = f"Version {version!r} of model {model!r} is not loaded."
        raise ModelNotLoaded(message, retry_after=_RETRY)

    def __iter__(self) -> Iterator[ModelStatus]:
        return iter(self._models.values())


def load_repository(root: Path) -> ModelRepository:
    """Loads every version that every `routing.yaml` under `root` names, or nothing.

    The service itself serves what it can; see `repository_watch`.

    Raises:
        PackageInvalid: there is no model, or one of them must not serve.
    """
    models: dict[str, ModelStatus] = {}
    for file in sorted(root.glob("*/routing.yaml")):
        directory = file.parent
        routing = read_routing(directory)
        models[directory.name] = ModelStatus(
            directory.name,
            routing,
            {
                version: VersionStatus(
                    version,
                    VersionState.READY,
                    traffic_percent=routing.share(version),
                    shadow=version in routing.shadow,
                    loaded=load_version(directory / version),
                )
                for version in routing.versions
            },
        )
    if not models:
        raise PackageInvalid("there is no model package in the repository")
    return ModelRepository(models)

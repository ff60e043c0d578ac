"""Decides which versions of a model should be loaded, and which routing is in force."""

from dataclasses import dataclass, field

from inference.model_repository import ModelStatus, VersionState, VersionStatus
from inference.repository_files import ModelFiles, Signature
from inference.routing import Routing
from inference.version_loading import LoadedVersion

AWAITED = "its package is not there yet"
GONE = "its package is gone; it serves on from memory"


@dataclass(slots=True)
class WatchedVersion:
    """A version that should be loaded."""

    loaded: LoadedVersion | None = None
    signature: Signature | None = None
    """Of the files that were loaded, or tried in vain."""
    loading: bool = False
    reason: str = ""


@dataclass(slots=True)
class WatchedModel:
    """A model between two looks at its files."""

    name: str
    files: ModelFiles
    wanted: Routing | None = None
    """The last that could be read."""
    in_force: Routing | None = None
    versions: dict[str, WatchedVersion] = field(default_factory=dict)
    asked_for: set[str] = field(default_factory=set)
    """Versions that were loaded by hand, and that no routing names."""
    put_away: set[str] = field(default_factory=set)
    """Versions that were unloaded by hand: out until they are loaded, or the routing changes."""

    def take(self, files: ModelFiles) -> None:
        """What a look at the files found."""
        self.files = files
        if files.routing is None or files.routing == self.wanted:
            return
        self.wanted = files.routing
        self.put_away.clear()
        self.asked_for.difference_update(files.routing.versions)

    @property
    def known(self) -> set[str]:
        """Versions that there is something to say about."""
        return {*self.files.packages, *self._named(), *self.versions}

    def to_load(self) -> list[str]:
        """Versions that should be loaded, as they are to be tried."""
        for version in self._named():
            self.versions.setdefault(version, WatchedVersion())
        return [version for version in self._named() if not self.versions[version].loaded]

    def settle(self) -> list[str]:
        """Puts in force what can be; returns the versions that nobody needs any more.

        A routing replaces a good one only when all that shall take traffic by it are ready. Where
        there is no good one, whoever is ready answers.
        """
        if self.wanted and not (self._lacking(self.wanted) and self._in_force_answers()):
            self.in_force = self.wanted
        needed = set(self._named())
        return [version for version in self.versions if version not in needed]

    def status(self) -> ModelStatus:
        """The model as it is to be served from now on."""
        routing = self.in_force
        versions = {
            version: VersionStatus(
                version,
                _state(watched),
                watched.reason,
                routing.share(version) if routing else 0,
                routing is not None and version in routing.shadow,
                watched.loaded,
            )
            for version, watched in sorted(self.versions.items())
        } | {
            version: VersionStatus(version, VersionState.UNLOADED)
            for version in sorted(self.known - self.versions.keys())
        }
        return ModelStatus(self.name, routing, versions, self._reason())

    def _named(self) -> list[str]:
        versions: dict[str, None] = {}
        for routing in (self.in_force, self.wanted):
            versions |= dict.fromkeys(routing.versions if routing else ())
        versions |= dict.fromkeys(sorted(self.asked_for))
        return [version for version in versions if version not in self.put_away]

    def _lacking(self, routing: Routing) -> list[str]:
        return [
            version
            for version in routing.answering
            if version not in self.put_away and not self._is_loaded(version)
        ]

    def _in_force_answers(self) -> bool:
        return self.in_force is not None and any(map(self._is_loaded, self.in_force.answering))

    def _is_loaded(self, version: str) -> bool:
        watched = self.versions.get(version)
        return watched is not None and watched.loaded is not None

    def _reason(self) -> str:
        if self.files.fault:
            return self.files.fault
        if self.wanted is None:
            return ""
        if self.files.routing is None:
            return f"{self.name}: routing.yaml is gone; the last one is in force"
        if self.in_force != self.wanted:
            return f"routing.yaml waits for version {', '.join(self._lacking(self.wanted))}"
        return ""


def _state(watched: WatchedVersion) -> VersionState:
    if watched.loaded:
        return VersionState.READY
    return VersionState.LOADING if watched.loading else VersionState.UNAVAILABLE

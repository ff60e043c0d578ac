"""Loads, unloads and lists models by hand: the one door for every transport that offers it.

`routing.yaml` is what models are loaded by. By hand a version is loaded that no routing names, one
that failed is tried again, and one is put away until it is loaded again or the routing changes. It
all holds for this replica, and until it restarts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from inference.domain import ModelControlDisabled
from inference.model_repository import ModelRepository, VersionState
from inference.repository_watch import RepositoryWatch

_log = structlog.get_logger(__name__)

Control = Literal["none", "explicit"]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version that there is a package of, or should be."""

    model: str
    version: str
    state: VersionState
    reason: str


class ModelControl:
    """Index, load and unload.

    Args:
        control: `none` refuses to load and to unload.
    """

    def __init__(
        self, repository: ModelRepository, watch: RepositoryWatch, control: Control
    ) -> None:
        self._repository = repository
        self._watch = watch
        self._control = control

    def index(self) -> Sequence[IndexEntry]:
        """Every version of every model, by name and version."""
        return [
            IndexEntry(name, version, status.state, status.reason)
            for name in self._repository.names()
            for version, status in sorted(self._repository.model(name).versions.items())
        ]

    async def load(self, model: str, version: str = "") -> None:
        """Loads a version, or all that the routing names; returns when they are ready.

        Raises:
            ModelControlDisabled: the service is set so.
            ModelUnknown: there is no such package.
            ModelLoadFailed: it must not serve; the message says why.
        """
        self._check()
        await self._watch.load(model, version)
        _log.info("model_load_asked_for", model=model, version=version)

    async def unload(self, model: str, version: str = "") -> None:
        """Unloads a version, or all of them. What runs on them is finished first.

        Raises:
            ModelControlDisabled: the service is set so.
            ModelUnknown: there is no such model or version.
        """
        self._check()
        await self._watch.unload(model, version)
        _log.info("model_unload_asked_for", model=model, version=version)

    def _check(self) -> None:
        if self._control == "none":
            raise ModelControlDisabled("Models are loaded by their routing alone here.")

"""Keeps what is served in step with the model repository, without dropping a request.

Files are read, checked, loaded and tested in a thread of their own; only then does the event loop
put a version in its place, between two requests. What runs on the version before runs on, and that
one's memory returns when the last of it is done.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

import structlog
from prometheus_client import Counter, Gauge

from inference.domain import ModelLoadFailed, ModelUnknown
from inference.model_repository import ModelRepository
from inference.package import PackageInvalid, is_unchanged
from inference.repository_files import RepositoryUnreadable, scan
from inference.runnable import RunnableModel
from inference.version_loading import load_version
from inference.watched_model import AWAITED, GONE, WatchedModel, WatchedVersion

_log = structlog.get_logger(__name__)

LOADS = Counter(
    "weir_inference_model_loads_total",
    "Versions that were loaded (result `ready`), or must not serve (`refused`).",
    ["model", "result"],
)
READY = Gauge(
    "weir_inference_model_version_ready",
    "1 while a version that should be loaded is; 0 while it cannot be.",
    ["model", "model_version"],
)
FAULTS = Gauge(
    "weir_inference_repository_faults",
    "What is wrong in the model repository now: versions and routings that cannot serve, "
    "packages that changed; the log and GET /v1/models say which.",
)
ReturnT = TypeVar("ReturnT")


class RepositoryWatch:
    """Looks at the repository when it is told to, and loads and unloads by hand.

    Args:
        loader: runs what takes long; one thread, so that one version loads at a time.
        warm_up: called with each model that was loaded, before it answers; on the loader's thread.
    """

    def __init__(
        self,
        root: Path,
        repository: ModelRepository,
        loader: Executor,
        warm_up: Callable[[RunnableModel], None] | None = None,
    ) -> None:
        self._root = root
        self._repository = repository
        self._loader = loader
        self._settled: Callable[[], Awaitable[None]] | None = None
        self._warm_up = warm_up
        self._models: dict[str, WatchedModel] = {}
        self._fault = ""
        self._told: dict[str, str] = {}
        self._shown: set[tuple[str, str]] = set()
        self._looking = asyncio.Lock()

    async def tell(self, settled: Callable[[], Awaitable[None]]) -> None:
        """Calls `settled` now, and after each look from here on."""
        self._settled = settled
        await settled()

    async def look(self) -> None:
        """Takes over what changed. Whatever is wrong is told, and what was good serves on."""
        async with self._looking:
            if await self._read():
                for model in list(self._models.values()):
                    await self._bring_up(model)
            await self._tell()

    async def load(self, name: str, version: str = "") -> None:
        """Loads a version, or all that the routing names; tries again what failed before.

        Raises:
            ModelUnknown: there is no such package.
            ModelLoadFailed: it must not serve.
        """
        async with self._looking:
            if not await self._read():
                raise ModelLoadFailed("The model repository cannot be read.")
            model = self._known(name, version)
            routed = model.wanted.versions if model.wanted else ()
            versions = [version] if version else list(routed)
            if not versions:
                raise ModelLoadFailed(f"No routing.yaml says which versions of {name} to load.")
            model.put_away.difference_update(versions)
            model.asked_for.update(set(versions) - set(routed))
            for each in versions:
                if each in model.versions and not model.versions[each].loaded:
                    del model.versions[each]
            await self._bring_up(model)
            await self._tell()
            failed = [each for each in versions if not model.versions[each].loaded]
            if failed:
                reason = model.versions[failed[0]].reason
                raise ModelLoadFailed(f"Version {failed[0]} of {name} is not loaded: {reason}")

    async def unload(self, name: str, version: str = "") -> None:
        """Unloads a version, or all of them, until they are loaded or the routing changes.

        Raises:
            ModelUnknown: there is no such model or version.
        """
        async with self._looking:
            model = self._known(name, version)
            versions = [version] if version else list(model.versions)
            model.put_away.update(versions)
            model.asked_for.difference_update(versions)
            await self._bring_up(model)
            await self._tell()

    def _known(self, name: str, version: str) -> WatchedModel:
        model = self._models.get(name)
        if model is None:
            raise ModelUnknown(f"There is no model {name!r}.")
        if version and version not in model.known:
            raise ModelUnknown(f"Model {name!r} has no version {version!r}.")
        return model

    async def _read(self) -> bool:
        try:
            files = await self._off_the_loop(scan, self._root)
        except RepositoryUnreadable as error:
            self._fault = f"the repository cannot be read: {error}"
            return False
        if not files and self._models:
            # Somebody unmounted it, rather than meant it.
            self._fault = "the repository is empty; what was loaded serves on"
            return False
        self._fault = "" if files else "there is no model in the repository"
        for name in self._models.keys() - files.keys():
            for version in self._models.pop(name).versions:
                _log.info("model_unloaded", model=name, version=version)
        for name, found in files.items():
            self._models.setdefault(name, WatchedModel(name, found)).take(found)
        return True

    async def _bring_up(self, model: WatchedModel) -> None:
        for version in model.to_load():
            await self._try(model, version, model.versions[version])
        for version, watched in model.versions.items():
            await self._compare(model, version, watched)
        before = model.in_force
        for version in model.settle():
            if model.versions.pop(version).loaded:
                _log.info("model_unloaded", model=model.name, version=version)
        if model.in_force != before and model.in_force is not None:
            shares = dict(model.in_force.shares)
            shadow = list(model.in_force.shadow)
            _log.info("routing_changed", model=model.name, shares=shares, shadow=shadow)
        self._publish()

    async def _try(self, model: WatchedModel, version: str, watched: WatchedVersion) -> None:
        signature = model.files.packages.get(version)
        if signature is None:
            watched.reason, watched.signature = AWAITED, None
            return
        if signature == watched.signature:
            return
        watched.loading, watched.signature, watched.reason = True, signature, ""
        self._publish()
        started = time.monotonic()
        try:
            loaded = await self._off_the_loop(load_version, self._root / model.name / version)
            if self._warm_up:
                await self._off_the_loop(self._warm_up, loaded.model)
        except PackageInvalid as error:
            watched.reason = str(error)
        except Exception as error:
            _log.exception("model_load_broke", model=model.name, version=version)
            watched.reason = f"it cannot be loaded ({type(error).__name__})"
        else:
            watched.loaded = loaded
            _log.info(
                "model_loaded",
                model=model.name,
                version=version,
                seconds=round(time.monotonic() - started, 3),
            )
        finally:
            watched.loading = False
        LOADS.labels(model.name, "ready" if watched.loaded else "refused").inc()

    async def _compare(self, model: WatchedModel, version: str, watched: WatchedVersion) -> None:
        """A version is immutable: what changes under a loaded one is told, not loaded."""
        signature = model.files.packages.get(version)
        if not watched.loaded or signature == watched.signature:
            return
        watched.signature = signature
        if signature is None:
            watched.reason = GONE
        elif await self._off_the_loop(is_unchanged, watched.loaded.package):
            watched.reason = ""
        else:
            watched.reason = "its files changed since it was loaded, and a version is immutable"

    def _publish(self) -> None:
        self._repository.replace({name: each.status() for name, each in self._models.items()})

    async def _tell(self) -> None:
        """Says once what is wrong, and once that it is well again."""
        self._publish()
        reasons = {"": self._fault} if self._fault else {}
        shown: set[tuple[str, str]] = set()
        for status in self._repository:
            if status.reason:
                reasons[status.name] = status.reason
            for version, watched in self._models[status.name].versions.items():
                shown.add((status.name, version))
                READY.labels(status.name, version).set(watched.loaded is not None)
                if watched.reason:
                    reasons[f"{status.name}/{version}"] = watched.reason
        for gone in self._shown - shown:
            READY.remove(*gone)
        self._shown = shown
        FAULTS.set(len(reasons))
        for place, reason in reasons.items():
            if self._told.get(place) != reason:
                write = _log.info if reason == AWAITED else _log.error
                write("model_repository_fault", place=place, reason=reason)
        for place in self._told.keys() - reasons.keys():
            _log.info("model_repository_fault_over", place=place)
        self._told = reasons
        if self._settled:
            await self._settled()

    async def _off_the_loop(self, call: Callable[..., ReturnT], argument: object) -> ReturnT:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader, call, argument)

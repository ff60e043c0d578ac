"""Which version of a model a question is about."""

from drift.domain import (
    ModelUnknown,
    ModelVersion,
    NameInvalid,
    Population,
    ReferenceInvalid,
    ReferenceMissing,
    TenantUnwatched,
    is_name,
)
from drift.references_in_force import ReferencesInForce
from drift.signals import SignalReference
from drift.state_store import StateStore
from drift.state_transaction import NEVER, Versions, newest_first
from drift.version_state import PopulationState
from servicekit.errors import FieldViolation


class ModelVersions:
    """Knows what was predicted with, and what has a reference."""

    def __init__(self, store: StateStore, references: ReferencesInForce) -> None:
        self._store = store
        self._references = references

    async def find(self, model: str, version: str) -> ModelVersion:
        """That version; without one, that which was predicted with last.

        Where none was, the highest version that has a reference.

        Raises:
            NameInvalid: the request names no model.
            ModelUnknown: there are neither predictions nor a reference.
            StateUnavailable: the windows cannot be read now.
        """
        _check_names(model, version)
        versions = await self._store.versions()
        about = ModelVersion(model, version or self._current(model, versions))
        if about not in versions:
            try:
                await self._references.find(about)
            except ReferenceMissing:
                raise ModelUnknown(
                    f"Model version {about} has neither predictions nor a reference."
                ) from None
        return about

    async def watched(self, model: str) -> list[ModelVersion]:
        """The versions of a model that are kept, that which was predicted with last first."""
        return [each for each in newest_first(await self._store.versions()) if each.model == model]

    async def state(self, of: Population) -> PopulationState:
        """What is kept of a version, empty if nothing is, or of a tenant's part of it.

        Raises:
            TenantUnwatched: the tenant has no windows of its own.
            StateUnavailable: the windows cannot be read now.
        """
        if not of.tenant:
            return await self._store.load(of.about)
        state = await self._store.load_tenant(of)
        if state is None:
            raise TenantUnwatched(
                "The tenant has no windows of its own: it is not among the busiest, or makes "
                "nearly all of the traffic."
            )
        return state

    async def reference(self, about: ModelVersion) -> SignalReference:
        """The one in force.

        Raises:
            ReferenceMissing, ReferenceInvalid: there is nothing to compare with.
            StateUnavailable: nobody can say now which one is.
        """
        return await self._references.find(about)

    async def reference_if_usable(self, about: ModelVersion) -> SignalReference | None:
        """The same, None where there is nothing to compare with."""
        try:
            return await self.reference(about)
        except (ReferenceMissing, ReferenceInvalid):
            return None

    def _current(self, model: str, versions: Versions) -> str:
        for candidate in newest_first(versions):
            if candidate.model == model and versions[candidate] != NEVER:
                return candidate.version
        newest = self._references.newest_version(model)
        if newest is None:
            raise ModelUnknown(f"Model {model} has neither predictions nor a reference.")
        return newest


def _check_names(model: str, version: str) -> None:
    violations = []
    if not is_name(model):
        violations.append(FieldViolation("model", "is no name of a model"))
    if version and not is_name(version):
        violations.append(FieldViolation("version", "is no name of a version"))
    if violations:
        raise NameInvalid("The request names no model version.", violations=violations)

"""What windows of a model version are compared with: its package's reference, or a promoted one.

Which one is in force is read from the store each time. So every replica follows a change at once,
and whoever asks within a transaction that watches the state gets the answer that was true when it
was stored, or conflicts.
"""

import asyncio
from dataclasses import replace

import structlog

from drift.domain import ModelVersion, ReferenceInvalid, ReferenceMissing
from drift.intervals import wilson
from drift.reference_codec import decode_reference
from drift.reference_repository import ReferenceRepository
from drift.signals import ACCURACY, PACKAGE, KnownAccuracy, SignalReference, SignalWindow
from drift.state_store import StateStore

_log = structlog.get_logger(__name__)

_MOST_CACHED = 20


class ReferencesInForce:
    """References by model version; the same object as long as the same one is in force."""

    def __init__(self, store: StateStore, packages: ReferenceRepository) -> None:
        self._store = store
        self._packages = packages
        self._read: dict[ModelVersion, SignalReference] = {}

    async def find(self, version: ModelVersion) -> SignalReference:
        """The one in force. The version's names have passed `is_name`.

        Raises:
            ReferenceMissing: it is the package's own, and there is none.
            ReferenceInvalid: it is unreadable, broken or of another model version.
            StateUnavailable: nobody can say now which one it is.
        """
        reference_id = (await self._store.shelf(version)).in_force
        if reference_id == PACKAGE:
            return self._packages.find(version)
        package = self.package(version)
        known = self._read.get(version)
        if known and known.reference_id == reference_id and known.labelled is package:
            return known
        found = await self._promoted(version, reference_id, package)
        self._read.pop(version, None)
        if len(self._read) >= _MOST_CACHED:
            self._read.pop(next(iter(self._read)))
        self._read[version] = found
        return found

    def package(self, version: ModelVersion) -> SignalReference | None:
        """The package's own; None where there is none that is good."""
        try:
            return self._packages.find(version)
        except (ReferenceMissing, ReferenceInvalid):
            return None

    def newest_version(self, model: str) -> str | None:
        """The highest version of a model whose package has a reference."""
        return self._packages.newest_version(model)

    async def _promoted(
        self, version: ModelVersion, reference_id: str, package: SignalReference | None
    ) -> SignalReference:
        stored = await self._store.reference(version, reference_id)
        try:
            if stored is None:
                raise ValueError("it is lost")
            found = await asyncio.to_thread(decode_reference, stored, version)
        except ValueError as error:
            _log.error(
                "reference_invalid",
                model=version.model,
                version=version.version,
                reference=reference_id,
                why=str(error),
            )
            raise ReferenceInvalid(
                f"The promoted reference of model version {version} cannot be used: put another "
                "one in force."
            ) from error
        return replace(
            found,
            reference_id=reference_id,
            labelled=package,
            known=_known(found.window, package),
        )


def _known(window: SignalWindow, package: SignalReference | None) -> KnownAccuracy | None:
    """What feedback said of the rows; without feedback the package's claim still stands."""
    told = window.ratio(ACCURACY)
    if told is None or not told.denominator:
        return package.known if package else None
    return KnownAccuracy(round(told.denominator), wilson(told.numerator, told.denominator), ())

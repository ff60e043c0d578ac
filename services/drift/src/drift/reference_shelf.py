"""Which references a model version has beside its package's own, and which one is in force."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from drift.domain import ModelVersion
from drift.signals import PACKAGE
from servicekit.errors import NotFound

KEPT_PROMOTED = 10
"""Of a model version; beyond them the oldest is taken away."""


class ReferenceUnknown(NotFound):
    """The model version has no such reference, or no longer."""

    reason = "REFERENCE_UNKNOWN"


@dataclass(frozen=True, slots=True)
class PromotedReference:
    """One that was made of closed windows; its distributions are stored apart."""

    reference_id: str
    """UUIDv7, so that their order is that of their promotions."""
    source: str
    rows: int
    windows: int
    first_predicted_at: datetime
    last_predicted_at: datetime
    promoted_at: datetime
    promoted_by: str
    reason: str
    accepted_drift: bool
    """Whether an incident lay in its range, and whoever promoted it said that this is fine."""


@dataclass(frozen=True, slots=True)
class PutInForce:
    """A call that changed which reference is in force."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReferenceShelf:
    """All promoted references of a model version, oldest first."""

    promoted: tuple[PromotedReference, ...] = ()
    in_force: str = PACKAGE
    put: PutInForce | None = None
    """None as long as nobody changed anything."""

    def with_promoted(self, reference: PromotedReference) -> "ReferenceShelf":
        """With a new one, which is in force from now on."""
        put = PutInForce(reference.promoted_at, reference.promoted_by, reference.reason)
        kept = (*self.promoted, reference)[-KEPT_PROMOTED:]
        return replace(self, promoted=kept, in_force=reference.reference_id, put=put)

    def with_in_force(self, reference_id: str, put: PutInForce) -> "ReferenceShelf":
        """With another one in force.

        Raises:
            ReferenceUnknown: there is none of that name.
        """
        if reference_id != PACKAGE and reference_id not in self.by_id():
            raise ReferenceUnknown("The model version has no such reference, or no longer.")
        return replace(self, in_force=reference_id, put=put)

    def by_id(self) -> Mapping[str, PromotedReference]:
        """The promoted ones."""
        return {each.reference_id: each for each in self.promoted}


@dataclass(frozen=True, slots=True)
class ShownReference:
    """A reference as people see it."""

    about: ModelVersion
    reference_id: str
    source: str
    rows: int
    promoted: PromotedReference | None = None
    """None for the package's own."""
    in_force: bool = False
    put: PutInForce | None = None
    """Of the one in force, where somebody put it there."""


def shelf_field(version: ModelVersion) -> str:
    """Where the shelf of a version is in the stored state."""
    return f"references:{version}"


def references_key(version: ModelVersion) -> str:
    """The hash that holds the distributions of a version's promoted references, by id."""
    return f"weir:drift:references:{version}"

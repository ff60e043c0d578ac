"""Shows the references of model versions, makes new ones of windows, and changes which is used.

Whatever changes is stored in one transaction: which reference is in force, the distributions of a
new one, and the incidents, which begin anew. A batch of predictions that was being judged meanwhile
is judged again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message

from drift.domain import ModelUnknown, ModelVersion, NameInvalid, Population, StateUnavailable
from drift.history_store import HistoryStore
from drift.incident_events import from_told
from drift.model_versions import ModelVersions
from drift.promotion import (
    Draft,
    ReferenceTooLarge,
    WindowSetAside,
    WindowsMissing,
    begun_anew,
    check_incidents,
    checked_reason,
)
from drift.range_comparison import RangeInvalid, TimeRange
from drift.reference_codec import encode_reference
from drift.reference_shelf import (
    PromotedReference,
    PutInForce,
    ReferenceShelf,
    ReferenceUnknown,
    ShownReference,
)
from drift.references_in_force import ReferencesInForce
from drift.signals import PACKAGE, SignalReference
from drift.state_store import StateStore
from drift.state_transaction import StateConflict, StateTransaction
from servicekit.errors import FieldViolation

_TRIES = 5
_LONGEST_WHO = 128
_Change = Callable[[StateTransaction, ReferenceShelf], Awaitable[ReferenceShelf]]
"""Gives the very shelf that it was given where nothing is to be done."""


class ReferenceDesk:
    """References are of all tenants together, as the windows are that they are made of.

    Args:
        minimum_rows: that a signal needs on each side of a test.
    """

    def __init__(
        self,
        store: StateStore,
        history: HistoryStore,
        versions: ModelVersions,
        references: ReferencesInForce,
        *,
        minimum_rows: int,
        incidents_stream: str,
        clock: Callable[[], datetime],
        make_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._history = history
        self._versions = versions
        self._references = references
        self._minimum_rows = minimum_rows
        self._stream = incidents_stream
        self._clock = clock
        self._make_id = make_id

    async def list(self, model: str, version: str) -> tuple[ModelVersion, Sequence[ShownReference]]:
        """The promoted ones, newest first, and the package's own if there is one.

        Args:
            version: empty for the one that was predicted with last.

        Raises:
            NameInvalid, ModelUnknown, StateUnavailable.
        """
        about = await self._versions.find(model, version)
        shelf = await self._store.shelf(about)
        package = self._references.package(about)
        promoted = [_shown(about, shelf, each) for each in reversed(shelf.promoted)]
        return about, [*promoted, *([_shown_package(about, shelf, package)] if package else [])]

    async def promote(
        self, model: str, version: str, of: TimeRange, *, who: str, reason: str, accept_drift: bool
    ) -> ShownReference:
        """Makes a reference of the closed windows that began in a range, and puts it in force.

        Args:
            accept_drift: whether incidents may lie in them.

        Raises:
            NameInvalid, ModelUnknown: there is no such model version.
            RangeInvalid, ReasonInvalid: the range or the reason is none.
            WindowsMissing, ReferenceTooSmall, ReferenceTooLarge: these windows cannot be one.
            WindowSetAside: one of them could not be judged.
            IncidentInRange: nobody accepted that they drifted.
            StateUnavailable: the store is away or busy.
        """
        reason = checked_reason(reason)
        if of.end <= of.start:
            fault = FieldViolation("until", "is not after its beginning")
            raise RangeInvalid("This range is none.", violations=[fault])
        about = await self._found(model, version)
        package = self._references.package(about)
        draft = await self._draft(about, of, by_blocks=bool(package and package.blocks))
        first, last = draft.first_predicted_at, draft.last_predicted_at
        if first is None or last is None:
            raise _no_windows(of, "")
        identifier = str(self._make_id())
        noun = "window" if draft.windows == 1 else "windows"
        source = f"{draft.windows} {noun} of {TimeRange(first, last)}"
        made = draft.finished(source, self._minimum_rows)
        content = await asyncio.to_thread(_encoded, made)

        async def change(transaction: StateTransaction, shelf: ReferenceShelf) -> ReferenceShelf:
            book = await transaction.incidents(Population(about))
            promoted = PromotedReference(
                identifier,
                source,
                draft.rows,
                draft.windows,
                first,
                last,
                self._clock(),
                who[:_LONGEST_WHO],
                reason,
                check_incidents(book, first, last, accept_drift),
            )
            return shelf.with_promoted(promoted)

        shelf = await self._change(about, change, {identifier: content})
        return _shown(about, shelf, shelf.by_id()[identifier])

    async def activate(
        self, model: str, version: str, reference_id: str, *, who: str, reason: str
    ) -> ShownReference:
        """Puts another reference in force; nothing happens if it is.

        Args:
            reference_id: `PACKAGE` for the package's own.

        Raises:
            NameInvalid, ModelUnknown: there is no such model version.
            ReasonInvalid: the reason is none.
            ReferenceUnknown: there is no such reference, or no longer.
            StateUnavailable: the store is away or busy.
        """
        reason = checked_reason(reason)
        about = await self._found(model, version)
        package = self._references.package(about)
        if reference_id == PACKAGE and package is None:
            raise ReferenceUnknown("The package of the model version has no reference to use.")

        async def change(transaction: StateTransaction, shelf: ReferenceShelf) -> ReferenceShelf:
            put = PutInForce(self._clock(), who[:_LONGEST_WHO], reason)
            changed = shelf.with_in_force(reference_id, put)
            return shelf if reference_id == shelf.in_force else changed

        shelf = await self._change(about, change, {})
        promoted = shelf.by_id().get(reference_id)
        if promoted is not None:
            return _shown(about, shelf, promoted)
        if package is None:
            raise ReferenceUnknown("The model version has no such reference, or no longer.")
        return _shown_package(about, shelf, package)

    async def _found(self, model: str, version: str) -> ModelVersion:
        if not version:
            fault = FieldViolation("version", "is missing")
            raise NameInvalid("A change names its model version.", violations=[fault])
        return await self._versions.find(model, version)

    async def _draft(self, about: ModelVersion, of: TimeRange, *, by_blocks: bool) -> Draft:
        together = Population(about)
        summaries = await self._history.summaries(together)
        draft = Draft(about, by_blocks)
        for summary in reversed(summaries):
            if summary.first_predicted_at not in of:
                continue
            if summary.fault:
                raise WindowSetAside(
                    f"The window {summary.window_id} in this range could not be judged "
                    f"({summary.fault}). Choose a range without it."
                )
            window = await self._history.window(together, summary.window_id)
            if window is not None:
                await asyncio.to_thread(draft.add, window)
        if not draft.windows:
            kept = f"; kept are {len(summaries)}"
            if summaries:
                first = min(each.first_predicted_at for each in summaries)
                last = max(each.last_predicted_at for each in summaries)
                kept += f", of {TimeRange(first, last)}"
            raise _no_windows(of, kept)
        return draft

    async def _change(
        self,
        about: ModelVersion,
        change: _Change,
        made: dict[str, bytes],
    ) -> ReferenceShelf:
        for _ in range(_TRIES):
            try:
                return await self._change_once(about, change, made)
            except StateConflict:
                # A window was stored meanwhile.
                continue
        raise StateUnavailable("The store of the windows is busy.", retry_after=1.0)

    async def _change_once(
        self,
        about: ModelVersion,
        change: _Change,
        made: dict[str, bytes],
    ) -> ReferenceShelf:
        async with self._store.transaction() as transaction:
            before = await transaction.shelf(about)
            after = await change(transaction, before)
            if after is before:
                return before
            if about not in await transaction.versions():
                raise ModelUnknown(f"Nothing was predicted with model version {about} lately.")
            books = {}
            facts: list[tuple[str, Message]] = []
            for tenant in ("", *(await transaction.tenants(about)).watched):
                of = Population(about, tenant)
                book = await transaction.incidents(of)
                books[of], told = begun_anew(book, self._clock(), after.in_force)
                facts += [(self._stream, from_told(about, each)) for each in told]
            await transaction.store_shelf(about, after, made, books, facts)
        return after


def _encoded(made: SignalReference) -> bytes:
    try:
        return encode_reference(made)
    except ValueError:
        fault = FieldViolation("until", "lets too many windows in")
        raise ReferenceTooLarge(
            "The range holds more than a reference may.", violations=[fault]
        ) from None


def _no_windows(of: TimeRange, kept: str) -> WindowsMissing:
    why = f"no closed window that is kept began in {of}{kept}"
    return WindowsMissing(
        f"No reference can be made: {why}.", violations=[FieldViolation("from", why)]
    )


def _shown(
    about: ModelVersion, shelf: ReferenceShelf, promoted: PromotedReference
) -> ShownReference:
    in_force = shelf.in_force == promoted.reference_id
    return ShownReference(
        about,
        promoted.reference_id,
        promoted.source,
        promoted.rows,
        promoted,
        in_force,
        shelf.put if in_force else None,
    )


def _shown_package(
    about: ModelVersion, shelf: ReferenceShelf, package: SignalReference
) -> ShownReference:
    in_force = shelf.in_force == PACKAGE
    return ShownReference(
        about,
        PACKAGE,
        package.source,
        package.window.rows,
        None,
        in_force,
        shelf.put if in_force else None,
    )

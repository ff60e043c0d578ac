"""Answers what a model version sees and says now, beside its reference."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from drift.domain import (
    ModelUnknown,
    ModelVersion,
    NameInvalid,
    ReferenceMissing,
    is_name,
)
from drift.reference_repository import ReferenceRepository
from drift.report import Report
from drift.report_document import ReportComposer
from drift.state_store import NEVER, StateStore, Versions, newest_first
from drift.version_state import WindowSize
from servicekit.errors import FieldViolation


class Reporter:
    """Reads the stored state for each report, so that every replica gives the same one."""

    def __init__(
        self,
        store: StateStore,
        references: ReferenceRepository,
        composer: ReportComposer,
        *,
        minimum_rows: int,
        window_size: WindowSize,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._references = references
        self._composer = composer
        self._minimum_rows = minimum_rows
        self._window_size = window_size
        self._clock = clock

    async def report(self, model: str, version: str) -> Report:
        """The report on a version; without one, on that which was predicted with last.

        Where none was, on the highest version that has a reference.

        Raises:
            NameInvalid: the request names no model.
            ModelUnknown: there are neither predictions nor a reference.
            ReferenceMissing, ReferenceInvalid: there is nothing to compare with.
            StateUnavailable: the windows cannot be read now.
        """
        _check_names(model, version)
        versions = await self._store.versions()
        about = ModelVersion(model, version or self._current_version(model, versions))
        try:
            reference = self._references.find(about)
        except ReferenceMissing:
            if about in versions:
                raise
            raise ModelUnknown(
                f"Model version {about} has neither predictions nor a reference."
            ) from None
        state = await self._store.load(about)
        window = state.reported(self._minimum_rows, self._window_size)
        # The first verdict on windows of a size takes half a second; calls must not wait for it.
        return await asyncio.to_thread(
            partial(
                self._composer.compose,
                reference,
                window,
                generated_at=self._clock(),
                feedback=state.feedback.summary(),
            )
        )

    def _current_version(self, model: str, versions: Versions) -> str:
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

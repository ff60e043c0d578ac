"""Answers what a model version sees and says now, or said in a window that is kept."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile

from drift.domain import FeedbackSummary, ModelVersion, Population
from drift.history_store import HistoryStore
from drift.judging_faults import judging
from drift.model_versions import ModelVersions
from drift.report import Report
from drift.report_document import ReportComposer
from drift.version_state import Window, WindowSize
from drift.window_history import WindowSummary, lasting
from servicekit.errors import NotFound


class ReportUnknown(NotFound):
    """No window of that name is kept, or no longer."""

    reason = "REPORT_UNKNOWN"


class Reporter:
    """Reads the stored state for each report, so that every replica gives the same one."""

    def __init__(
        self,
        history: HistoryStore,
        versions: ModelVersions,
        composer: ReportComposer,
        *,
        minimum_rows: int,
        window_size: WindowSize,
        clock: Callable[[], datetime],
    ) -> None:
        self._history = history
        self._versions = versions
        self._composer = composer
        self._minimum_rows = minimum_rows
        self._window_size = window_size
        self._clock = clock

    async def report(
        self, model: str, version: str, report_id: str = "", tenant: str = ""
    ) -> Report:
        """The report on a version's newest window, or on one that is kept.

        Args:
            version: empty for the one that was predicted with last, or that the window is of.
            tenant: whose own windows are meant; empty for those of all tenants together.

        Raises:
            NameInvalid: the request names no model.
            ModelUnknown: there are neither predictions nor a reference.
            TenantUnwatched: the tenant has no windows of its own.
            ReportUnknown: no such window is kept.
            ReferenceMissing, ReferenceInvalid: there is nothing to compare with.
            WindowUnjudgeable: comparing it fails.
            StateUnavailable: the windows cannot be read now.
        """
        about = await self._versions.find(model, version)
        if report_id:
            return await self._kept(about, tenant, anywhere=not version, report_id=report_id)
        of = Population(about, tenant)
        state = await self._versions.state(of)
        window = state.reported(self._minimum_rows, self._window_size)
        summaries = await self._history.summaries(of)
        # The closed one is reported while the open one has too few rows.
        is_closed = window is state.closed
        known = summaries[0] if is_closed and summaries else None
        return await self._composed(
            of,
            window,
            state.feedback.summary(),
            known.window_id if known else "",
            summaries[1:] if known else summaries,
        )

    async def summaries(
        self, model: str, version: str, tenant: str = ""
    ) -> tuple[ModelVersion, Sequence[WindowSummary]]:
        """The closed windows that are kept, newest first; raises as `report` does."""
        of = Population(await self._versions.find(model, version), tenant)
        if tenant:
            await self._versions.state(of)
        return of.about, await self._history.summaries(of)

    async def _kept(
        self, about: ModelVersion, tenant: str, *, anywhere: bool, report_id: str
    ) -> Report:
        versions = [about]
        if anywhere:
            versions += [v for v in await self._versions.watched(about.model) if v != about]
        for version in versions:
            each = Population(version, tenant)
            window = await self._history.window(each, report_id)
            if window is None:
                continue
            state = await self._versions.state(each)
            summaries = await self._history.summaries(each)
            before = [summary for summary in summaries if summary.window_id < report_id]
            return await self._composed(each, window, state.feedback.summary(), report_id, before)
        raise ReportUnknown("No window of that name is kept, or no longer.")

    async def _composed(
        self,
        of: Population,
        window: Window,
        feedback: FeedbackSummary,
        report_id: str,
        before: Sequence[WindowSummary],
    ) -> Report:
        reference = await self._versions.reference(of.about)
        # What drifted from another reference began something else.
        alike = takewhile(lambda each: each.reference_id == reference.reference_id, before)
        compose = partial(
            self._composer.compose,
            reference,
            window,
            generated_at=self._clock(),
            feedback=feedback,
            report_id=report_id,
            tenant=of.tenant,
            earlier=lasting(list(alike)),
        )
        with judging():
            # The first verdict on windows of a size takes half a second; calls must not wait.
            return await asyncio.to_thread(compose)

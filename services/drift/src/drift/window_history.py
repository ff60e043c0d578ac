"""The closed windows of each model version that are kept, and how they are written.

One hash per version, and one per tenant that has windows of its own: `<id>` is a compressed window,
`summary:<id>` a few facts about it. Ids are UUIDv7, so that their order is that of the windows'
last predictions.
"""

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drift.domain import Population
from drift.report import Onset
from drift.signals import PACKAGE
from drift.state_codec import StateUnreadable, decode_window, encode_window
from drift.version_state import Window

SUMMARY = "summary:"
_LEVEL = 1
"""Most of a window is incompressible; a higher level costs time alone."""
_LARGEST_WINDOW = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Of one closed window."""

    window_id: str
    first_predicted_at: datetime
    last_predicted_at: datetime
    rows: int
    drifted: tuple[str, ...]
    """Signals, by name."""
    judged: bool
    """Whether there was a reference to compare it with, and that did not fail."""
    reference_id: str
    """Of that one; empty where there was none."""
    fault: str = ""
    """The type of the error, where it could not be judged; empty else."""


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """A closed window, to be kept."""

    summary: WindowSummary
    window: Window


def history_key(of: Population) -> str:
    """The hash of a version, or of a tenant's part of it."""
    return f"weir:drift:windows:{of}"


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """What a transaction writes and takes away."""

    key: str
    written: Mapping[str, bytes | str]
    dropped: Sequence[str]

    @classmethod
    def keeping(
        cls, of: Population, known: Sequence[bytes], closed: Sequence[KeptWindow], most: int
    ) -> "HistoryChange":
        """Of windows that closed now, beside the fields that are there; the oldest leave."""
        fields = {field.decode() for field in known}
        ids = {field for field in fields if not field.startswith(SUMMARY)}
        by_id = {each.summary.window_id: each for each in closed}
        kept = set(sorted(ids | by_id.keys(), reverse=True)[:most])
        written: dict[str, bytes | str] = {}
        for window_id in sorted(kept & by_id.keys()):
            each = by_id[window_id]
            written[window_id] = zlib.compress(encode_window(each.window), _LEVEL)
            written[SUMMARY + window_id] = _encode(each.summary)
        dropped = [f for f in sorted(fields) if f.removeprefix(SUMMARY) not in kept]
        return cls(history_key(of), written, dropped)


def read_window(stored: bytes) -> Window:
    """Gives a window back.

    Raises:
        StateUnreadable: it cannot be.
    """
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(stored, _LARGEST_WINDOW)
    except zlib.error as error:
        raise StateUnreadable("it cannot be decompressed") from error
    if reader.unconsumed_tail:
        raise StateUnreadable("it is too large")
    return decode_window(content)


def _encode(summary: WindowSummary) -> str:
    return json.dumps(
        {
            "first": summary.first_predicted_at.isoformat(),
            "last": summary.last_predicted_at.isoformat(),
            "rows": summary.rows,
            "drifted": summary.drifted,
            "judged": summary.judged,
            "reference": summary.reference_id,
            "fault": summary.fault,
        }
    )


def read_summary(window_id: str, content: bytes) -> WindowSummary:
    """Gives a summary back."""
    found = json.loads(content)
    return WindowSummary(
        window_id,
        datetime.fromisoformat(found["first"]),
        datetime.fromisoformat(found["last"]),
        int(found["rows"]),
        tuple(found["drifted"]),
        bool(found["judged"]),
        found.get("reference", PACKAGE if found["judged"] else ""),
        found.get("fault", ""),
    )


def kept_window(
    window: Window,
    window_id: str,
    drifted: Collection[str] | None,
    reference_id: str = "",
    fault: str = "",
) -> KeptWindow | None:
    """A window that closed; None for one without predictions.

    Args:
        drifted: signals, by name; None where it was not judged.
        reference_id: of the reference that it was compared with.
        fault: the type of the error that judging it ended with.
    """
    if window.first_predicted_at is None or window.last_predicted_at is None:
        return None
    summary = WindowSummary(
        window_id,
        window.first_predicted_at,
        window.last_predicted_at,
        window.rows,
        tuple(sorted(drifted or ())),
        drifted is not None,
        reference_id,
        fault,
    )
    return KeptWindow(summary, window)


def lasting(summaries: Sequence[WindowSummary]) -> dict[str, Onset]:
    """Since when each signal drifts that drifted in the first of windows, newest first."""
    found: dict[str, Onset] = {}
    still = set(summaries[0].drifted) if summaries else set()
    for count, summary in enumerate(summaries, start=1):
        still &= set(summary.drifted)
        if not still:
            break
        found |= {signal: Onset(summary.first_predicted_at, count) for signal in still}
    return found

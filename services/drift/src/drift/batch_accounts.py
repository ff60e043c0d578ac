"""What is counted and logged of a batch once it is stored."""

from collections import Counter

import prometheus_client
import structlog

from drift.batch_changes import Batch
from drift.window_closing import SET_ASIDE

_log = structlog.get_logger(__name__)

APPLIED = prometheus_client.Counter(
    "weir_drift_events_applied_total", "Events that the windows or counts hold.", ["stream"]
)
SKIPPED = prometheus_client.Counter(
    "weir_drift_events_skipped_total", "Events that made no sense.", ["stream", "reason"]
)
CLOSED = prometheus_client.Counter("weir_drift_windows_closed_total", "Windows that were filled.")
WINDOWS = prometheus_client.Counter(
    "weir_drift_windows_total",
    "Windows that were filled, by outcome: drift, no_drift, not_judged where there was no "
    "reference or not enough data, or set_aside where judging failed.",
    ["model", "model_version", "outcome"],
)
TENANT_WINDOWS = prometheus_client.Counter(
    "weir_drift_tenant_windows_total",
    "Windows of single tenants that were filled, by outcome; windows of all tenants have their "
    "predictions, too.",
    ["model", "model_version", "outcome"],
)

REPEATED = prometheus_client.Counter(
    "weir_drift_events_repeated_total", "Predictions that had been appended before.", ["stream"]
)


def account(stream: str, read: int, skipped: Counter[str], batch: Batch) -> None:
    """Tells what came of a batch.

    Args:
        read: events that made sense.
        skipped: how many did not, by reason.
    """
    APPLIED.labels(stream).inc(read - batch.repeated)
    REPEATED.labels(stream).inc(batch.repeated)
    CLOSED.inc(batch.outcomes.total())
    for (of, outcome), count in batch.outcomes.items():
        windows = TENANT_WINDOWS if of.tenant else WINDOWS
        windows.labels(of.about.model, of.about.version, outcome).inc(count)
    for about in batch.states:
        # A series that begins with its first fault would never have increased.
        WINDOWS.labels(about.model, about.version, SET_ASIDE)
        TENANT_WINDOWS.labels(about.model, about.version, SET_ASIDE)
    for each in batch.set_aside:
        _log.error(
            "window_set_aside",
            model=each.of.about.model,
            version=each.of.about.version,
            tenant=each.of.tenant,
            window=each.window_id,
            error=each.fault.error,
            place=each.fault.place,
        )
    for reason, count in skipped.items():
        SKIPPED.labels(stream, reason).inc(count)
    if skipped:
        _log.warning("events_skipped", stream=stream, reasons=dict(skipped))

"""What is measured of quotas."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("weir_quota_decisions_total", "Decisions on quotas.", ["outcome", "counted_in"])
for _outcome, _counted_in in (
    *(("allowed", place) for place in ("redis", "process")),
    *(("refused", place) for place in ("redis", "process", "memory", "none")),
    *(("impossible", place) for place in ("process", "none")),
):
    DECISIONS.labels(_outcome, _counted_in)
FAILURES = Counter("weir_quota_store_failures_total", "Calls that Redis failed.", ["error"])
LOCAL = Gauge("weir_quota_local", "1 while quotas are counted in this process alone.")
SECONDS = Histogram(
    "weir_quota_decision_seconds",
    "Time that requests waited for Redis to decide on their quotas, seconds.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1),
)
GIVEN_BACK = Counter(
    "weir_quota_given_back_total",
    "Charges given back: whole because nothing was done, or in part because it took fewer tokens.",
    ["why"],
)
WRITTEN_BACK = Counter(
    "weir_quota_written_back_total",
    "What was admitted while Redis was away and counted there afterwards, in the policies' units.",
)

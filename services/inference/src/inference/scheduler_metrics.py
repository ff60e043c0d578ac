"""What can be seen of the scheduler from outside."""

from prometheus_client import Counter, Gauge, Histogram

from inference.schedule import Batch

WAITING = Gauge("weir_inference_waiting_items", "Items that were taken on and do not run yet.")
RUNNING = Gauge("weir_inference_running_batches", "Batches that the model runs now.")
THREADS = Gauge("weir_inference_threads", "Batches that may run at the same time.")
WAIT_SECONDS = Histogram(
    "weir_inference_wait_seconds",
    "From an item's arrival until its batch began, encoding included, seconds.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
BATCH_ITEMS = Histogram(
    "weir_inference_batch_items",
    "Items that ran together.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
TOKENS = Counter("weir_inference_tokens_total", "Tokens that were run, padding left out.")
PADDED_TOKENS = Counter(
    "weir_inference_padded_tokens_total", "Tokens that were run, padding included."
)
RUN_SECONDS = Histogram(
    "weir_inference_run_seconds",
    "Time that one batch spent in the model, seconds.",
    ["model"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024),
)
DROPPED = Counter(
    "weir_inference_dropped_total",
    "Items that were taken on and not run: their deadline passed, or their caller had gone.",
    ["reason"],
)
for _reason in ("deadline", "caller_gone"):
    DROPPED.labels(_reason)


def observe_batch(batch: Batch, now: float) -> None:
    """A batch begins."""
    BATCH_ITEMS.observe(len(batch.jobs))
    TOKENS.inc(sum(job.size for job in batch.jobs))
    PADDED_TOKENS.inc(len(batch.jobs) * batch.size)
    for job in batch.jobs:
        if not job.background:
            WAIT_SECONDS.observe(now - job.arrived)

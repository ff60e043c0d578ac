"""How many single predictions a platform answers, and how fast: `make bench`.

It starts a platform of its own and sends texts that it makes, over HTTP with a token, with quotas,
durable events and the log on. The load generator shares the machine.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import httpx
from rich.console import Console

from testkit.platform import running_platform

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
REQUESTS = 600
CONCURRENCIES = (1, 8, 32)


def main() -> None:
    """Prints one line per number of requests at the same time."""
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="weir-bench-") as directory,
        running_platform(Path(directory) / "home", MODELS) as platform,
        platform.client() as api,
    ):
        measure(api, 8)  # the first ones pay for what is made on demand
        for concurrency in CONCURRENCIES:
            rate, milliseconds = measure(api, concurrency)
            cuts = quantiles(milliseconds, n=100)
            console.print(
                f"{concurrency:>3} at a time: {rate:6.0f}/s   p50 {cuts[49]:6.1f} ms   "
                f"p95 {cuts[94]:6.1f} ms   p99 {cuts[98]:6.1f} ms"
            )


def measure(api: httpx.Client, concurrency: int) -> tuple[float, list[float]]:
    """Requests a second, and each one's milliseconds.

    Raises:
        httpx.HTTPStatusError: a request failed.
    """
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        times = list(pool.map(lambda number: ask(api, number), range(REQUESTS)))
    return REQUESTS / (time.perf_counter() - started), times


def ask(api: httpx.Client, number: int) -> float:
    """Milliseconds that one prediction took."""
    text = f"The {number}th evening in this house was long, warm and never dull."
    started = time.perf_counter()
    api.post("/predict", json={"text": text}).raise_for_status()
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()

"""How many predictions a platform answers, and how fast: `make bench`.

It starts a platform of its own and sends texts over HTTP with a token, with quotas, durable events
and the log on. The load generator (`load.py`) shares the machine. Rates of an open loop are shares
of what the closed loop reached at the concurrency of 64.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from load import Plan, Result, measured
from rich.console import Console
from texts import KINDS, texts_of

from testkit.platform import Platform, running_platform

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
FULL = 64
"""The concurrency that capacity is measured at."""
BATCH = 256


def main() -> None:
    """Prints one line per measurement and writes all of them as JSON."""
    options = _options()
    console = Console()
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="weir-bench-") as directory,
        running_platform(Path(directory) / "home", MODELS) as platform,
    ):
        for name, result in _measurements(platform, options):
            results.append({"measurement": name, **asdict(result)})
            console.print(_line(name, result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _measurements(
    platform: Platform, options: argparse.Namespace
) -> Iterator[tuple[dict[str, Any], Result]]:
    headers = {"authorization": f"Bearer {platform.token()}"}
    for kind in options.kinds:
        texts = texts_of(kind, options.texts)
        single = Plan(
            f"{platform.endpoints.http}/predict",
            [json.dumps({"text": text}) for text in texts],
            headers,
            seconds=options.seconds,
        )
        capacity = 0.0
        for concurrency in options.concurrency:
            result = measured(_changed(single, concurrency=concurrency))
            capacity = result.rate if concurrency == FULL else capacity
            yield {"texts": kind, "concurrency": concurrency}, result
        for share in options.shares if capacity else ():
            plan = _changed(single, concurrency=1024, rate=capacity * share)
            yield {"texts": kind, "share": share, "offered": plan.rate}, measured(plan)
        groups = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        if options.batches:
            bodies = [json.dumps({"texts": group}) for group in groups if len(group) == BATCH]
            plan = _changed(single, url=f"{single.url}/batch", bodies=bodies, concurrency=2)
            yield {"texts": kind, "batch": BATCH, "concurrency": 2}, measured(plan)


def _changed(plan: Plan, **changes: Any) -> Plan:
    return Plan(**{**asdict(plan), **changes})


def _line(name: dict[str, Any], result: Result) -> str:
    told = " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in name.items()
    )
    times = "  ".join(f"{key} {value:.1f}" for key, value in result.answered_ms.items())
    others = {status: count for status, count in result.statuses.items() if status != "200"}
    return f"{told:<44} {result.rate:7.1f}/s   {times} ms" + (f"   {others}" if others else "")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--texts", type=Path, help="directory of SST-2 and IMDB; made texts by default"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["short"])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16, FULL, 256])
    parser.add_argument("--shares", nargs="*", type=float, default=[0.5, 0.8, 1.2, 3.0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--no-batches", dest="batches", action="store_false")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()

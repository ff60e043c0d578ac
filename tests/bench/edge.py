"""What the edge adds to a prediction request, CPU µs of the gateway: `make bench BENCH=edge`.

Method: a platform of its own, and beside its gateway a bare one (`bare_gateway.py`), which has the
same HTTP server, the same JSON and the same shared calls to the same inference, and nothing else.
Both get the same closed load, one after the other, several rounds, each begun by the other one. A
process's CPU time (user and system, from the kernel's accounting) divided by its answers is its
cost of a request; the edge is the difference: token, quota, limits, headers, deadline, count, log
line and routing. The median of the rounds is told, with the smallest and the largest, so that a
busy machine shows. Less than a minute.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from load import Plan, measured
from rich.console import Console
from texts import KINDS, texts_of

from testkit.platform import Platform, free_port, running_platform, wait_until

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
TARGET_US = 600.0
_COMPARED = {
    "gateway_us": "the gateway: everything",
    "bare_us": "without its edge: HTTP, JSON, calls to inference",
    "edge_us": "the edge: what is between the two",
}


def main() -> None:
    """Prints the figures and writes them as JSON; exits with 1 where the target is missed."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="weir-edge-") as directory,
        running_platform(Path(directory) / "home", MODELS) as platform,
        _bare_gateway(platform) as (bare_pid, bare_url),
    ):
        plan = Plan(
            f"{platform.endpoints.http}/predict",
            [json.dumps({"text": text}) for text in texts_of(options.kind, None)],
            {"authorization": f"Bearer {platform.token()}"},
            concurrency=options.concurrency,
            seconds=options.seconds,
            warm_up=0.0,
        )
        whole_pid = platform.process("gateway").pid
        assert whole_pid is not None
        runs = [(whole_pid, plan), (bare_pid, replace(plan, url=bare_url, headers={}))]
        for _, each in runs:
            measured(replace(each, seconds=1.0))  # what is made on demand is made now
        rounds = [_round(runs, number) for number in range(options.rounds)]
    report = {
        "concurrency": options.concurrency,
        "gateway_us": [whole for whole, _ in rounds],
        "bare_us": [bare for _, bare in rounds],
        "edge_us": [whole - bare for whole, bare in rounds],
    }
    edge = statistics.median(report["edge_us"])
    Console().print(
        f"{options.concurrency} at a time, {options.rounds} rounds on {os.cpu_count()} cores, "
        "CPU µs a request, median (smallest–largest):\n"
        + "\n".join(f"  {what:<49} {_spread(report[name])}" for name, what in _COMPARED.items())
        + f"\n{'MISSED' if edge > TARGET_US else 'kept  '} the edge adds {edge:.0f} µs; "
        f"{TARGET_US:.0f} are allowed",
        highlight=False,
    )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(edge > TARGET_US)


def _round(runs: list[tuple[int, Plan]], number: int) -> list[float]:
    """Costs in the order of the runs; every other round is run the other way round."""
    order = [0, 1] if number % 2 == 0 else [1, 0]
    costs = {each: _cost(*runs[each]) for each in order}
    return [costs[0], costs[1]]


def _cost(pid: int, plan: Plan) -> float:
    before = _cpu_seconds(pid)
    result = measured(plan)
    answers = sum(result.statuses.values())
    if result.statuses.get("200", 0) < 0.99 * answers:
        raise SystemExit(f"not a measurement: {result.statuses}")
    return (_cpu_seconds(pid) - before) * 1e6 / answers


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def _bare_gateway(platform: Platform) -> Iterator[tuple[int, str]]:
    port = free_port()
    environment = dict(platform.process("gateway").spec.environment)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bare_gateway.py"))],
        env={**os.environ, **environment, "BARE_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(port), "the bare gateway")
        yield process.pid, f"http://127.0.0.1:{port}/predict"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.0f}  ({min(values):.0f}–{max(values):.0f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=KINDS, default="short")
    parser.add_argument("--json", type=Path, help="file for the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()

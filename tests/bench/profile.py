"""What one prediction costs each process, and what it is spent on: `make bench BENCH=profile`.

A platform of its own runs under closed load from `load.py`. First nothing else runs, and each
process's CPU time is divided by the requests answered; then py-spy samples the services' Python
stacks, and their shares divide that time among the stages (`stages.py`). Where the system forbids
ptrace (`kernel.yama.ptrace_scope`), the stages are left out and the first table stands.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from load import Plan, Result, measured
from rich.console import Console
from rich.table import Table
from stages import RULES, shares
from texts import KINDS, texts_of

from testkit.platform import Platform, running_platform

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
SAMPLES_A_SECOND = 250
_NAMES = (
    "gateway",
    "inference",
    "events-redis",
    "quota-redis",
    "prediction_log",
    "drift",
    "postgres",
)


def main() -> None:
    """Prints two tables and writes them as JSON."""
    options = _options()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="weir-profile-") as directory,
        running_platform(Path(directory) / "home", MODELS, _settings(options)) as platform,
    ):
        plan = Plan(
            f"{platform.endpoints.http}/predict",
            [json.dumps({"text": text}) for text in texts_of(options.kind, options.texts)],
            {"authorization": f"Bearer {platform.token()}"},
            concurrency=options.concurrency,
            seconds=options.seconds,
        )
        measured(Plan(**{**vars(plan), "seconds": 1.0}))  # what is made on demand is made now
        costs, memory, result = _costs(platform, plan)
        stages = _stages(platform, plan, costs, Path(directory), options.flames)
    report = {
        "concurrency": options.concurrency,
        "texts": options.kind,
        "answers_a_second": result.rate,
        "statuses": result.statuses,
        "answered_ms": result.answered_ms,
        "generator_cpu_us": result.generator_cpu_us,
        "cpu_us_a_request": costs,
        "resident_mib": memory,
        "stages_cpu_us_a_request": stages,
    }
    _show(console, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def _costs(platform: Platform, plan: Plan) -> tuple[dict[str, float], dict[str, float], Result]:
    """Microseconds of CPU a request by process, MiB of each, and what the load saw."""
    before = _cpu_seconds(platform)
    # Without a warm-up that is not counted, so that both count the same requests.
    result = measured(Plan(**{**vars(plan), "warm_up": 0.0}))
    after = _cpu_seconds(platform)
    answers = max(1, sum(result.statuses.values()))
    costs = {name: (after[name] - before[name]) * 1e6 / answers for name in after}
    memory = {
        name: psutil.Process(platform.process(name).pid).memory_info().rss / 2**20 for name in RULES
    }
    return costs, memory, result


def _cpu_seconds(platform: Platform) -> dict[str, float]:
    found = {}
    for name in _NAMES:
        root = psutil.Process(platform.process(name).pid)
        times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
        found[name] = sum(time.user + time.system for time in times)
    return found


def _stages(
    platform: Platform,
    plan: Plan,
    costs: Mapping[str, float],
    directory: Path,
    flames: Path | None,
) -> dict[str, dict[str, float]]:
    load = threading.Thread(target=measured, args=[plan])
    load.start()
    with ExitStack() as stack:
        samplers = {
            name: stack.enter_context(_sampler(platform, name, plan.seconds, directory / name))
            for name in RULES
        }
        for sampler in samplers.values():
            sampler.wait()
    load.join()
    found = {}
    for name in RULES:
        file = directory / name
        stacks = file.read_text().splitlines() if file.exists() else []
        if flames and stacks:
            flames.mkdir(parents=True, exist_ok=True)
            (flames / f"{name}.collapsed").write_text("\n".join(stacks) + "\n")
        found[name] = {stage: share * costs[name] for stage, share in shares(name, stacks).items()}
    return found


def _sampler(
    platform: Platform, name: str, seconds: float, output: Path
) -> "subprocess.Popen[bytes]":
    program = Path(sys.executable).with_name("py-spy")
    return subprocess.Popen(
        [
            *(str(program), "record", "--pid", str(platform.process(name).pid), "--format", "raw"),
            *("--duration", str(max(1, round(seconds))), "--rate", str(SAMPLES_A_SECOND)),
            *("--nonblocking", "--full-filenames", "--output", str(output)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _show(console: Console, report: Mapping[str, Any]) -> None:
    console.print(
        f"{report['concurrency']} at a time, {report['texts']} texts: "
        f"{report['answers_a_second']:.0f}/s on {os.cpu_count()} cores, {report['statuses']}"
    )
    processes = Table("process", "CPU µs a request", "MiB resident")
    for name, cost in report["cpu_us_a_request"].items():
        memory = report["resident_mib"].get(name)
        processes.add_row(name, f"{cost:.0f}", f"{memory:.0f}" if memory else "")
    processes.add_row("(load generator)", f"{report['generator_cpu_us']:.0f}", "")
    console.print(processes)
    stages = Table("process", "stage", "CPU µs a request")
    for name, found in report["stages_cpu_us_a_request"].items():
        for stage, cost in found.items():
            stages.add_row(name, stage, f"{cost:.0f}")
    console.print(stages)


def _settings(options: argparse.Namespace) -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in options.set)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the two runs")
    parser.add_argument("--kind", choices=KINDS, default="short")
    parser.add_argument("--texts", type=Path, help="directory of SST-2 and IMDB")
    parser.add_argument("--set", nargs="*", default=[], metavar="WEIR_X=Y", help="settings")
    parser.add_argument("--flames", type=Path, help="folder for the collapsed stacks")
    parser.add_argument("--json", type=Path, help="file for the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Writes METRICS.md from the services themselves: `make dashboards`; `--check` only compares."""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("METRICS.md")
SERVICES = ("gateway", "inference", "prediction_log", "drift")
_HEAD = """\
# Metrics

Written by `make dashboards` from what the services declare; a test compares it with what they
export.

Each process answers Prometheus: the gateway at `/metrics` of its own port, the others on
`WEIR_METRICS_ADDRESS` (9090 in containers). Asked for OpenMetrics, histograms of HTTP, gRPC and
calls to services carry examples with the trace's id, where the trace is recorded.

Names are `weir_<context>_<what>_<unit>`. Values of labels are bounded: routes are templates,
methods and codes those of the contracts, models and versions those that are loaded, streams those
of the settings. No label holds a client, a tenant, a path or an id. What counts a loss is there as
0 from the start. Beside these every process exports `process_*` and `python_*`.
"""
_CONTEXTS = {
    "build": "What runs",
    "http": "HTTP, at the gateway",
    "grpc": "gRPC, at every service",
    "backend": "Calls of the gateway to services",
    "gateway": "Items in the gateway",
    "quota": "Quotas",
    "idempotent": "Idempotency",
    "token": "Tokens",
    "tokens": "Tokens",
    "api": "Tokens",
    "signing": "Tokens",
    "identity": "Clients",
    "audit": "Audit events",
    "revocations": "Revoked tokens",
    "certificate": "Certificates",
    "events": "Event streams",
    "inference": "Models",
    "prediction_log": "The log",
    "drift": "Drift",
}
_DECLARED = """
import importlib, importlib.util, json, sys
# A service may read its parts only while it starts.
for module in ("__main__", "assembly"):
    if importlib.util.find_spec(f"{sys.argv[1]}.{module}"):
        importlib.import_module(f"{sys.argv[1]}.{module}")
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
# Only the collector itself knows its labels before they have values.
print(json.dumps([
    [metric.name, metric.type, metric.documentation, list(collector._labelnames)]
    for collector in list(REGISTRY._collector_to_names)
    if isinstance(collector, MetricWrapperBase)
    for metric in collector.describe()
]))
"""


@dataclass(frozen=True, order=True)
class Metric:
    """A family, as the exposition names it."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]


def declared(service: str) -> list[Metric]:
    """What a service's process has to tell, without starting the service."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _DECLARED, service], capture_output=True, text=True, check=True
    )
    return sorted(
        Metric(f"{name}_total" if kind == "counter" else name, kind, meaning, tuple(labels))
        for name, kind, meaning, labels in json.loads(done.stdout)
        if name.startswith("weir_")
    )


def catalogue() -> Mapping[Metric, list[str]]:
    """Every metric, with the services that export it."""
    found: dict[Metric, list[str]] = defaultdict(list)
    for service in SERVICES:
        for metric in declared(service):
            found[metric].append(service)
    return found


def context_of(name: str) -> str:
    """The heading under which a metric is found.

    Raises:
        ValueError: its name begins with no known context.
    """
    rest = name.removeprefix("weir_")
    for context, heading in _CONTEXTS.items():
        if rest.startswith(f"{context}_"):
            return heading
    raise ValueError(f"{name} begins with no context: {', '.join(_CONTEXTS)}")


def page(metrics: Mapping[Metric, Iterable[str]]) -> str:
    """The whole document."""
    by_context: dict[str, list[str]] = {heading: [] for heading in _CONTEXTS.values()}
    for metric in sorted(metrics):
        services = ", ".join(metrics[metric])
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        by_context[context_of(metric.name)].append(
            f"| `{metric.name}` | {metric.kind} | {labels} | {services} | {metric.meaning} |"
        )
    parts = [_HEAD]
    for heading, lines in by_context.items():
        table = "| metric | type | labels | exported by | meaning |\n|---|---|---|---|---|\n"
        parts.append(f"## {heading}\n\n{table}" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Writes the page, or only tells whether it differs; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it differs")
    check = parser.parse_args().check
    wanted = page(catalogue())
    if PAGE.exists() and PAGE.read_text() == wanted:
        return 0
    if check:
        sys.stdout.write("METRICS.md differs from what make dashboards makes\n")
        return 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What runs: a metric that says which version of which service this process is."""

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Gauge, disable_created_metrics

BUILD = Gauge(
    "weir_build_info",
    "1, for the service that this process is, its version and Python's.",
    ["service", "version", "python"],
)


def announce_build(service: str) -> None:
    """Makes the process say what it is; it is there as long as the process answers scrapes.

    Args:
        service: its name, as its package and the logs have it.
    """
    # A second series beside each counter and histogram, for what `process_start_time_seconds` says.
    disable_created_metrics()
    BUILD.labels(service, _version_of(service), platform.python_version()).set(1)


def _version_of(service: str) -> str:
    try:
        return version(f"weir-{service.replace('_', '-')}")
    except PackageNotFoundError:
        return "unknown"

"""`python -m inference`: settings → models, and while they load the service around them."""

import argparse
import asyncio
import sys
from importlib import import_module
from types import ModuleType

from inference.domain import SealingKeyInvalid
from inference.served_models import served_models
from inference.settings import Settings
from servicekit.lean_imports import read_lean
from servicekit.startup import describe_settings, run_service

_SWITCH_INTERVAL = 0.0005
"""Longest that a thread whose batch is done waits for the interpreter, seconds. By default it is
5 ms, as long as a short text takes, and its core would be idle."""


class RepositoryMissing(Exception):
    """The model repository is no directory."""


async def _serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        RepositoryMissing: there is no model repository.
    """
    if not settings.model_repository.is_dir():
        raise RepositoryMissing(
            f"WEIR_MODEL_REPOSITORY: {settings.model_repository} is no directory"
        )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with served_models(settings) as models:
        # Reading the libraries takes as long as loading a model, and mostly another core: a process
        # that was killed is back sooner for it.
        async with asyncio.TaskGroup() as starting:
            starting.create_task(models.watch.look())
            reading = starting.create_task(asyncio.to_thread(read_assembly))
        await reading.result().serve(settings, models)


def read_assembly() -> ModuleType:
    """Reads the libraries of what is around the models, and gives `inference.assembly`."""
    read_lean("opentelemetry.sdk.resources", "redis.asyncio", "httpx")
    return import_module("inference.assembly")


def main() -> int:
    """Runs the service; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="inference",
        description="Runs model packages and records every prediction.",
        epilog=describe_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.parse_args()
    return run_service(
        "inference", Settings, _serve, expected=(RepositoryMissing, SealingKeyInvalid)
    )


if __name__ == "__main__":
    sys.exit(main())

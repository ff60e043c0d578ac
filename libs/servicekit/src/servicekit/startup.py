"""Starts a service from its settings, and says in one line why when it cannot."""

import asyncio
import textwrap
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from servicekit.build_info import announce_build
from servicekit.logs import configure_logs
from servicekit.settings import TelemetrySettings

_log = structlog.get_logger(__name__)
SettingsT = TypeVar("SettingsT", bound=TelemetrySettings)


def run_service(
    name: str,
    settings_type: type[SettingsT],
    serve: Callable[[SettingsT], Awaitable[None]],
    *,
    expected: tuple[type[Exception], ...] = (),
) -> int:
    """Reads the settings, sets up logs and runs `serve`; returns the process's exit code.

    All services run on uvloop, so that there is one event loop to know.

    Args:
        expected: errors that keep a service from starting and speak for themselves, beside OSError
            (an address in use, a file that is not there). They are logged without a traceback.
    """
    configure_logs(name, "", "info")
    try:
        settings = settings_type()
    except ValidationError as error:
        # The input itself may be a secret: only its name and what is wrong with it are told.
        faults = {
            str(fault["loc"][0]) if fault["loc"] else "settings": fault["msg"]
            for fault in error.errors()
        }
        _log.error("settings_invalid", faults=faults)
        return 1
    except OSError as error:
        _log.error("cannot_start", reason=str(error))
        return 1
    configure_logs(name, settings.instance, settings.log_level)
    announce_build(name)

    expected_errors: tuple[type[Exception], ...] = (OSError, *expected)

    async def run() -> None:
        await serve(settings)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except expected_errors as error:
        _log.error("cannot_start", reason=str(error))
        return 1
    return 0


def describe_settings(settings_type: type[BaseSettings]) -> str:
    """The settings as a text for `--help`: environment variable, default, explanation."""
    prefix = str(settings_type.model_config.get("env_prefix", "")).upper()
    lines = ["settings, read from the environment:"]
    for name, field in sorted(settings_type.model_fields.items()):
        default = (
            "required"
            if field.is_required()
            else f"default: {field.get_default(call_default_factory=True)}"
        )
        lines.append(f"  {prefix}{name.upper()} ({default})")
        lines += textwrap.wrap(
            field.description or "", 92, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines)

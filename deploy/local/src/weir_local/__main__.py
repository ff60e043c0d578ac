"""`python -m weir_local`: the whole platform on this machine."""

import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from weir_local.backup_commands import backup, restore
from weir_local.container_environment import env
from weir_local.home import (
    Home,
    HomeError,
    locked_home,
    processes_file,
    trace_file,
    write_json,
)
from weir_local.identity import IdentityError, ensure_identity
from weir_local.options import HomeOption
from weir_local.platform_parts import Endpoints, endpoints_of, service_parts, store_parts
from weir_local.probes import read_health, why_port_is_taken
from weir_local.processes import end_leftovers, read_processes, write_processes
from weir_local.report import Report
from weir_local.signals import StopSignals
from weir_local.supervisor import (
    StartError,
    StopRequestedError,
    Supervisor,
    end_of_log,
)
from weir_local.traces import spans_of, tree_of

_HEALTHY_TIMEOUT = 60.0
_KILLED = 130
# Beside the source tree: <repository>/deploy/models.
_MODELS = Path(__file__).parents[3] / "models"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command()(backup)
app.command()(restore)
app.command()(env)


@app.command()
def up(
    home: HomeOption = Path(".weir"),
    port: Annotated[
        int, typer.Option(envvar="WEIR_PORT", min=1, max=65535, help="Port on 127.0.0.1.")
    ] = 8080,
    models: Annotated[
        Path, typer.Option(envvar="WEIR_MODEL_REPOSITORY", help="Directory of model packages.")
    ] = _MODELS,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    report = Report()
    # What the platform's programs write is for this user alone.
    os.umask(0o077)
    try:
        with StopSignals() as signals, locked_home(home) as locked:
            code = run(locked, port, models.resolve(), report, signals)
    except (HomeError, IdentityError, StartError, RuntimeError) as error:
        report.fail(str(error))
        code = 1
    except OSError as error:
        report.fail(f"{error.filename or home}: {error.strerror or error}")
        code = 1
    raise typer.Exit(code)


@app.command()
def status(
    home: HomeOption = Path(".weir"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which processes run; the exit code is 0 when all do."""
    content = read_processes(processes_file(home))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    elif not content["running"]:
        typer.echo(f"not running in {home}")
    else:
        for process in content["processes"]:
            state = "ready" if process["ready"] else "running" if process["running"] else "down"
            typer.echo(
                f"{process['name']:<16}{state:<9}pid {process['pid'] or '-':<9}"
                f"restarts {process['restarts']}"
            )
    healthy = content["running"] and all(process["running"] for process in content["processes"])
    raise typer.Exit(0 if healthy else 1)


@app.command()
def trace(
    trace_id: Annotated[
        str | None, typer.Argument(help="X-Trace-ID of an answer; the newest prediction's if none.")
    ] = None,
    home: HomeOption = Path(".weir"),
) -> None:
    """Show where a request went and how long each step took."""
    file = trace_file(home)
    try:
        spans = spans_of(file, trace_id)
    except OSError as error:
        typer.echo(f"no traces in {home}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    if not spans:
        typer.echo(f"no such trace in {file}; spans come a second after their request", err=True)
        raise typer.Exit(1)
    Console().print(tree_of(spans))


def run(home: Home, port: int, models: Path, report: Report, signals: StopSignals) -> int:
    """Starts the platform, keeps it running until a signal comes, stops it; returns the exit code.

    Raises:
        StartError, IdentityError, RuntimeError, OSError: it cannot start; all is stopped again.
    """
    began = time.monotonic()
    for name in end_leftovers(home.processes_file):
        report.warn(f"{name} was left by a platform that crashed; ended it")
    if reason := why_port_is_taken("127.0.0.1", port):
        raise StartError(reason)
    if not models.is_dir():
        raise StartError(f"no model repository at {models}: set WEIR_MODEL_REPOSITORY")
    home.shorten_logs()
    endpoints = endpoints_of(home, port)
    first = not home.client_file.exists()
    if first:
        report.note(f"setting up {home.path}")
    stores = store_parts(home)
    identity = ensure_identity(home, endpoints.http)
    write_json(home.endpoints_file, asdict(endpoints))
    if first:
        report.step("first set-up", time.monotonic() - began)
    parts = [*stores, *service_parts(home, endpoints, identity, models=models, port=port)]
    supervisor = Supervisor(
        parts,
        report,
        signals,
        changed=lambda running: write_processes(home.processes_file, running),
    )
    gently = True
    try:
        supervisor.start()
        _wait_until_healthy(supervisor, home, endpoints)
        report.step("all healthy", time.monotonic() - began)
        report.note(_welcome(home, endpoints))
        supervisor.watch()
    except StopRequestedError:
        pass
    finally:
        report.note("stopping")
        gently = supervisor.stop()
        home.endpoints_file.unlink(missing_ok=True)
        home.processes_file.unlink(missing_ok=True)
    report.note("stopped" if gently else "stopped by force")
    return 0 if signals.stops < 2 else _KILLED


def _wait_until_healthy(supervisor: Supervisor, home: Home, endpoints: Endpoints) -> None:
    health = read_health(endpoints.http)

    def healthy() -> bool:
        nonlocal health
        health = read_health(endpoints.http)
        return health.status == "healthy"

    if not supervisor.wait_until(healthy, _HEALTHY_TIMEOUT):
        troubled = health.troubled or {"gateway": health.status}
        states = ", ".join(f"{name} is {state}" for name, state in troubled.items())
        logs = "".join(
            end_of_log(home.log_file(name)) for name in troubled if home.log_file(name).exists()
        )
        raise StartError(f"not healthy after {_HEALTHY_TIMEOUT:.0f} s: {states}{logs}")


def _welcome(home: Home, endpoints: Endpoints) -> str:
    client = shlex.quote(str(home.client_file))
    read = "python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])'"
    return f"""
weir is ready at {endpoints.http}

Get a token and ask for a prediction (the demo client is in {home.client_file}):

  SECRET=$({read} client_secret < {client})
  TOKEN=$(curl -s {endpoints.http}/oauth2/token -u "demo:$SECRET" \\
    -d grant_type=client_credentials | {read} access_token)
  curl -s {endpoints.http}/predict -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"text": "What a lovely film."}}'

Ctrl-C stops everything."""


def main() -> None:
    """Runs the command line; without a command it is `up`."""
    app(args=sys.argv[1:] or ["up"], prog_name="weir_local")


if __name__ == "__main__":
    main()

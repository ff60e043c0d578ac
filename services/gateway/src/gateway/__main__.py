"""The gateway's commands; without one it serves."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import ValidationError

from gateway.assembly import assembled
from gateway.client_file_editor import create_client
from gateway.client_registry import ClientsFileInvalid
from gateway.command_line import parser
from gateway.http_server import AddressUnavailable, listen, load_certificate, serve
from gateway.server_certificate import CertificateInvalid
from gateway.settings import Settings
from gateway.signing_keys import SigningKeyInvalid, create_signing_key
from servicekit.lifecycle import run_until_stopped
from servicekit.startup import run_service
from servicekit.telemetry import configure_tracing


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the process's exit status."""
    options = parser().parse_args(arguments)
    match options.command:
        case "create-signing-key":
            return _create_signing_key(options.output)
        case "create-client":
            return _create_client(options)
        case _:
            return run_service(
                "gateway",
                Settings,
                _serve,
                # ValueError: a URL or an address that a library cannot read.
                expected=(
                    SigningKeyInvalid,
                    ClientsFileInvalid,
                    CertificateInvalid,
                    AddressUnavailable,
                    ValueError,
                ),
                loop_factory=uvloop.new_event_loop,
            )


def _create_signing_key(output: Path) -> int:
    try:
        key_id = create_signing_key(output)
    except OSError as error:
        return _complain(f"the key was not written: {error}")
    _tell({"key_id": key_id, "file": str(output)})
    return 0


def _create_client(options: argparse.Namespace) -> int:
    limits, windows = options.limit or [], options.window or []
    if len(limits) != len(windows):
        return _complain("each --limit needs a --window, in the same order")
    try:
        secret = create_client(
            options.clients_file,
            options.pepper_file,
            client_id=options.client_id,
            tenant=options.tenant,
            scopes=options.scope,
            quotas=list(zip(limits, windows, strict=True)),
            replace=options.replace,
        )
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        return _complain(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    except (ClientsFileInvalid, OSError) as error:
        return _complain(str(error))
    _tell({"client_id": options.client_id, "client_secret": secret})
    return 0


async def _serve(settings: Settings) -> None:
    tracer_provider = configure_tracing("gateway", settings)
    try:
        certificate = load_certificate(settings)
        async with assembled(settings, tracer_provider) as gateway:
            listener = listen(settings.http_host, settings.http_port)
            await run_until_stopped(
                serve(gateway.app, listener, settings, certificate),
                gateway.audit.run(),
                *([certificate.follow()] if certificate else []),
            )
            await gateway.audit.flush()
    finally:
        tracer_provider.shutdown()


def _tell(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")


def _complain(message: str) -> int:
    sys.stderr.write(f"gateway: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

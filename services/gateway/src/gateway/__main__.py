"""The gateway's commands; without one it serves."""

import sys
from collections.abc import Sequence

from gateway import signing_key_commands
from gateway.assembly import assembled
from gateway.bootstrap import BootstrapSecretInvalid
from gateway.client_commands import create_client_from, create_key_from
from gateway.client_entries import ClientsFileInvalid
from gateway.command_line import parser
from gateway.http_server import AddressUnavailable, listen, load_certificate, serve
from gateway.secret_hashes import PepperInvalid
from gateway.server_certificate import CertificateInvalid
from gateway.settings import Settings
from gateway.signing_keys import SigningKeyInvalid
from gateway.trusted_issuers_file import TrustedIssuersFileInvalid
from servicekit.garbage import give_back_what_is_free, keep_what_is_there
from servicekit.lifecycle import every, run_until_stopped
from servicekit.startup import run_service
from servicekit.telemetry import configure_tracing

_GIVING_BACK = 5.0
"""Seconds between two looks for memory that many connections left."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the process's exit status."""
    options = parser().parse_args(arguments)
    match options.command:
        case signing_key_commands.ROTATE:
            return signing_key_commands.run(options)
        case "create-client":
            return create_client_from(options)
        case "create-key":
            return create_key_from(options)
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
                    PepperInvalid,
                    BootstrapSecretInvalid,
                    TrustedIssuersFileInvalid,
                    AddressUnavailable,
                    ValueError,
                ),
            )


async def _serve(settings: Settings) -> None:
    tracer_provider = configure_tracing("gateway", settings)
    try:
        certificate = load_certificate(settings)
        listener = listen(settings.http_host, settings.http_port)
        async with assembled(settings, tracer_provider) as gateway:
            keep_what_is_there()
            await run_until_stopped(
                serve(gateway.app, listener, settings, certificate, gateway.early),
                every(_GIVING_BACK, give_back_what_is_free),
                beside=(
                    gateway.audit.run(),
                    gateway.revocations.run(),
                    *([certificate.follow()] if certificate else []),
                ),
            )
            await gateway.audit.flush()
    finally:
        tracer_provider.shutdown()


if __name__ == "__main__":
    sys.exit(main())

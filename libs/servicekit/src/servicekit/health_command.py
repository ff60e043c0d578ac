"""`python -m servicekit.health_command grpc` or `http`: whether this container's service works.

For health checks that run inside a container, where there is neither shell nor curl: 0 when it
works, 1 and a line that says why when it does not. It reads where the service listens from the
service's own variables, and imports next to nothing, for it runs every few seconds.
"""

import argparse
import http.client
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_READY = "/health/ready"


class Unhealthy(Exception):
    """It does not work; the message says why."""


def ask_http(environment: Mapping[str, str], timeout: float) -> None:
    """Asks the HTTP server of this container whether it is ready.

    Raises:
        Unhealthy: it says no.
        OSError, http.client.HTTPException: it says nothing.
    """
    port = int(environment.get("WEIR_HTTP_PORT") or 8080)
    certificate = environment.get("WEIR_TLS_CERTIFICATE_FILE")
    connection = (
        http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=timeout, context=_trusting(certificate)
        )
        if certificate
        else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    )
    try:
        connection.request("GET", _READY)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != http.client.OK:
        raise Unhealthy(f"{_READY} answers {status}")


def _trusting(certificate: str) -> ssl.SSLContext:
    """Trusts the certificate that the server was given, whatever name it was made for."""
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


def ask_grpc(environment: Mapping[str, str], timeout: float, service: str, name: str) -> None:
    """Asks the gRPC server of this container whether a service is serving.

    Args:
        service: its full name; empty for the server as a whole.
        name: a name in the server's certificate; for TLS alone.

    Raises:
        Unhealthy: it says no, or nothing.
        OSError: a file that TLS needs is not there.
    """
    # Here, because the check over HTTP takes a third of the time without it.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    credentials = _credentials(environment)
    address = environment.get("WEIR_GRPC_ADDRESS") or "0.0.0.0:50051"
    for everywhere in ("0.0.0.0:", "[::]:"):
        if address.startswith(everywhere):
            address = f"127.0.0.1:{address.removeprefix(everywhere)}"
    options = [("grpc.ssl_target_name_override", name)] if name else []
    with (
        grpc.secure_channel(address, grpc.ssl_channel_credentials(*credentials), options)
        if credentials
        else grpc.insecure_channel(address)
    ) as channel:
        try:
            # Its methods are made at run time.
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
        except grpc.RpcError as error:
            raise Unhealthy(f"{address} answers {error.code().name}: {error.details()}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise Unhealthy(f"{address} is {state}")


def _credentials(environment: Mapping[str, str]) -> list[bytes | None]:
    """Authorities, key and certificate of a client; empty where the server speaks no TLS."""
    if not environment.get("WEIR_GRPC_TLS_CERTIFICATE_FILE"):
        return []
    files = (
        environment.get(f"WEIR_GRPC_{which}_FILE")
        for which in ("CA", "CLIENT_KEY", "CLIENT_CERTIFICATE")
    )
    return [Path(file).read_bytes() if file else None for file in files]


def main() -> int:
    """Reads the command line; returns the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("transport", choices=["grpc", "http"])
    parser.add_argument("--service", default="", help="the gRPC service; all of them by default")
    parser.add_argument("--name", default="", help="a name in the gRPC server's certificate")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS")
    options = parser.parse_args()
    try:
        if options.transport == "http":
            ask_http(os.environ, options.timeout)
        else:
            ask_grpc(os.environ, options.timeout, options.service, options.name)
    except (Unhealthy, OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""TLS of gRPC servers, from files that may change while they serve."""

from collections.abc import Callable
from typing import cast

import grpc

from servicekit.certificates import CertificateFiles, WatchedCertificates
from servicekit.settings import GrpcServerSettings


def server_credentials(settings: GrpcServerSettings) -> grpc.ServerCredentials | None:
    """What the server proves itself with, and asks of its clients; None for plain text.

    New connections see replaced files within a second; calls on older ones go on, and those
    connections end by their age.

    Raises:
        CertificateInvalid: a file cannot be used.
    """
    files = CertificateFiles(
        "grpc_server",
        certificate=settings.grpc_tls_certificate_file,
        key=settings.grpc_tls_key_file,
        authorities=settings.grpc_tls_client_ca_file,
    )
    if not files.paths():
        return None
    watched = WatchedCertificates(files)

    # gRPC asks before each handshake, one at a time.
    def replaced() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(watched) if watched.changed() else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(watched),
        # None is how it is told that nothing has changed; its types do not know.
        cast("Callable[[], grpc.ServerCertificateConfiguration]", replaced),
        require_client_authentication=files.authorities is not None,
    )


def _configuration(watched: WatchedCertificates) -> grpc.ServerCertificateConfiguration:
    current = watched.current
    return grpc.ssl_server_certificate_configuration(
        [(current.key or b"", current.chain or b"")], root_certificates=current.authorities
    )

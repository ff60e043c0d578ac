"""`make env`: the keys, passwords, certificate and demo client of the platform in containers.

`docker-compose.yml` reads `.env` and mounts files of the folder that it names. No secret is in
`.env` itself: what compose puts into a container's variables, everybody sees who may inspect it.
"""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from weir_local.home import Home
from weir_local.identity import IdentityError, ensure_identity
from weir_local.self_made_certificate import make_certificate

_IMAGE_USER = 10001
"""The services' own in their images."""
_PRIVATE, _SHARED = 0o600, 0o444
"""Shared is what the stores' images read, each as a user of its own; the folder that they are in
is closed to everybody else on this machine."""
_GATEWAY_IN_COMPOSE = "gateway"


class AlreadyMade(Exception):
    """There is something that must not be overwritten; the message names it."""


def make_container_environment(
    env_file: Path, folder: Path, *, port: int, names: list[str], version: str
) -> None:
    """Writes `.env` and the folder that it names.

    Args:
        port: where the gateway is reached on this machine.
        names: further names that clients reach it by; the first is the issuer's.

    Raises:
        AlreadyMade: one of both is there.
        IdentityError: a key or the client could not be made.
        OSError: a file cannot be written.
    """
    for path in (env_file, folder):
        if path.exists():
            raise AlreadyMade(f"{path} is there already, and stays: its passwords may be in use")
    folder.mkdir(parents=True, mode=0o700)
    address = f"https://{names[0] if names else 'localhost'}:{port}"
    ensure_identity(Home(folder, folder), address)
    renew_certificate(folder, names)
    for name, content in _passwords().items():
        own = name.endswith("-url")
        _write(folder / name, content, _PRIVATE if own else _SHARED)
    clients = folder / "clients"
    clients.mkdir(mode=0o700)
    # Mounted as a folder, without the log's keys: a file that is replaced would stay the old one.
    folder.joinpath("identity/clients.yaml").rename(clients / "clients.yaml")
    training = folder / "training"
    training.mkdir(mode=0o700)
    user, group = (_IMAGE_USER, _IMAGE_USER) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    _give(folder, user, group)
    _write(
        env_file,
        _env_text(
            COMPOSE_PROJECT_NAME="weir",
            WEIR_VERSION=version,
            WEIR_SECRETS=str(folder.resolve()),
            WEIR_TRAINING_DATA=str(training.resolve()),
            WEIR_USER=f"{user}:{group}",
            WEIR_PORT=str(port),
            WEIR_ISSUER=address,
        ),
        _PRIVATE,
    )


def renew_certificate(folder: Path, names: list[str]) -> None:
    """Makes a new certificate; a gateway that runs takes it over by itself.

    Raises:
        OSError: a file cannot be written.
    """
    directory = folder / "tls"
    directory.mkdir(exist_ok=True)
    made = make_certificate([*names, "localhost", _GATEWAY_IN_COMPOSE, "127.0.0.1", "::1"])
    _write(directory / "authority.pem", made.authority.decode(), _SHARED)
    _write(directory / "gateway.pem", made.certificate.decode(), _SHARED)
    _write(directory / "gateway.key", made.key.decode(), _PRIVATE)
    if os.geteuid() == 0:
        owner = folder.joinpath("identity").stat()
        os.chown(directory / "gateway.key", owner.st_uid, owner.st_gid)


def _passwords() -> dict[str, str]:
    """For the stores, and the URLs that the services find them at."""
    owner, service, events, quota, grafana = (secrets.token_hex(24) for _ in range(5))
    database = "postgres:5432/weir"
    return {
        "postgres-owner-password": owner,
        "postgres-service-password": service,
        "database-owner-url": f"postgresql://weir_owner:{owner}@{database}",
        "database-url": f"postgresql://weir:{service}@{database}",
        "redis-events.conf": _redis_users(events),
        "redis-quota.conf": _redis_users(quota),
        "events-redis-url": f"redis://:{events}@redis-events:6379/0",
        "quota-redis-url": f"redis://:{quota}@redis-quota:6379/0",
        "grafana-password": grafana,
    }


def _redis_users(password: str) -> str:
    """One who may do everything, and one for health checks who may only ask."""
    return f"user default on >{password} ~* &* +@all\nuser probe on nopass -@all +ping\n"


def _give(folder: Path, user: int, group: int) -> None:
    """Hands over what the services read, where this is root and they are not."""
    if os.geteuid() != 0:
        return
    for path in folder.rglob("*"):
        if path.stat().st_mode & 0o077 == 0 and path.name != "client.json":
            os.chown(path, user, group)


def _env_text(**variables: str) -> str:
    lines = "".join(f"{name}={value}\n" for name, value in variables.items())
    return f"# Made by make env, for docker-compose.yml. Passwords are in the folder.\n{lines}"


def _write(file: Path, content: str, mode: int) -> None:
    """Replaces a file as a whole; nobody else reads it before its mode is set."""
    new = file.with_name(f".{file.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
    new.chmod(mode)
    new.replace(file)


def env(
    env_file: Annotated[Path, typer.Option(help="File to write.")] = Path(".env"),
    folder: Annotated[Path, typer.Option(help="Folder to write.")] = Path(".weir-containers"),
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port that the gateway is reached at.")
    ] = 8443,
    name: Annotated[
        list[str] | None, typer.Option(help="Name that clients reach it by, beside localhost.")
    ] = None,
    version: Annotated[str, typer.Option(help="Tag of the images.")] = "0.1.0",
    renew: Annotated[
        bool, typer.Option("--renew-certificate", help="Make a new certificate, nothing else.")
    ] = False,
) -> None:
    """Make keys, passwords, a certificate and a demo client for docker compose."""
    try:
        if renew:
            renew_certificate(folder, name or [])
            typer.echo(f"{folder}/tls has a new certificate")
            return
        make_container_environment(env_file, folder, port=port, names=name or [], version=version)
    except (AlreadyMade, IdentityError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename or folder}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"made {env_file} and {folder}: the demo client is in {folder}/client.json, what to trust "
        f"in {folder}/tls/authority.pem"
    )

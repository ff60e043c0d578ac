"""What the commands take, and the help that teaches them."""

import argparse
from pathlib import Path

from gateway import signing_key_commands
from gateway.domain import SCOPES
from gateway.roles import ROLES
from gateway.settings import Settings
from servicekit.startup import describe_settings

_INTRODUCTION = """\
The public edge of Weir: identity, quotas and the REST surface.

To try it out:
  python -m gateway rotate-signing-key --directory signing-keys
  python -m gateway create-client --clients-file clients.yaml --pepper-file pepper \\
      --client-id demo --tenant acme --scope models:predict --scope models:read
  WEIR_SIGNING_KEYS_DIR=signing-keys WEIR_CLIENTS_FILE=clients.yaml \\
      WEIR_PEPPER_FILE=pepper python -m gateway
"""
_CREATE_CLIENT = """\
Adds a client to the clients file and prints its id and secret as JSON, once: the file keeps a
hash of the secret alone. Whoever holds the secret gets access tokens from POST /oauth2/token. With
--public-key it gets no secret and proves itself with the private key (private_key_jwt, RFC 7523).
The file is written anew, so comments in it are lost. A running gateway heeds it within a second.

  python -m gateway create-client --clients-file clients.yaml --pepper-file pepper \\
      --client-id shop --tenant acme --role predictor --limit 600 --window 60
"""
_CREATE_KEY = """\
Adds an API key of a client of the clients file and prints it as JSON, once: the file keeps a hash
of it alone. It goes with requests as the header X-API-Key, or as Authorization: Bearer. A running
gateway heeds it within a second.

  python -m gateway create-key --clients-file clients.yaml --pepper-file pepper \\
      --client-id shop --scope models:predict --days 90
"""


def parser() -> argparse.ArgumentParser:
    """Knows every command; `command` is None when none was given."""
    top = argparse.ArgumentParser(
        prog="python -m gateway",
        description=_INTRODUCTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser(
        "serve",
        help="serve until SIGTERM (the default)",
        description="Serves until SIGTERM.",
        epilog=describe_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    signing_key_commands.add_commands(commands)
    _add_create_client(commands)
    _add_create_key(commands)
    return top


def _add_create_client(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "create-client",
        help="add a client and print its secret",
        description=_CREATE_CLIENT,
        epilog=f"{_scopes()}\n\nroles:\n{_roles()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_files(command)
    add = command.add_argument
    add("--client-id", required=True, metavar="ID", help="letters, digits and . _ -")
    add("--tenant", required=True, metavar="TENANT", help="whose predictions it may see")
    add(
        "--scope",
        nargs="+",
        action="extend",
        default=[],
        metavar="SCOPE",
        help="what it may do; may be repeated; a scope or a role is needed",
    )
    add(
        "--role",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE",
        help="a set of scopes that it has beside those of --scope; may be repeated",
    )
    add(
        "--public-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="JWK or PEM of a public key, EC P-256 or RSA: it proves itself by it, without a "
        "secret; may be repeated",
    )
    add(
        "--limit",
        type=int,
        action="append",
        metavar="N",
        help="predictions allowed within the --window that follows; may be repeated; without any, "
        "the gateway's defaults hold",
    )
    add("--window", type=int, action="append", metavar="SECONDS", help="of the --limit before it")
    add(
        "--replace",
        action="store_true",
        help="give an existing client a new secret, scopes and quotas; the old secret ends",
    )


def _add_create_key(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "create-key",
        help="add an API key of a client and print it",
        description=_CREATE_KEY,
        epilog=_scopes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_files(command)
    add = command.add_argument
    add("--client-id", required=True, metavar="ID", help="whose key it is")
    add(
        "--scope",
        nargs="+",
        action="extend",
        required=True,
        metavar="SCOPE",
        help="what it may do, of what its client may; may be repeated",
    )
    add("--name", default="", metavar="TEXT", help="for people")
    add("--days", type=int, metavar="N", help="until it expires; without it, it never does")


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--clients-file", type=Path, required=True, metavar="FILE", help="made when missing"
    )
    command.add_argument(
        "--pepper-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="key of the secrets' hashes; made when missing, and needed by every gateway",
    )


def _scopes() -> str:
    return "\n".join(["scopes:", *(f"  {name:<20} {text}" for name, text in SCOPES.items())])


def _roles() -> str:
    return "\n".join(f"  {role:<10} {', '.join(sorted(held))}" for role, held in ROLES.items())

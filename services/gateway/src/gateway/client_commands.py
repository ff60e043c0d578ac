"""The commands that add to the clients file."""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from gateway.client_entries import ClientsFileInvalid
from gateway.client_file_editor import create_client, create_key
from gateway.public_keys import load_public_key
from gateway.secret_hashes import PepperInvalid


def create_client_from(options: argparse.Namespace) -> int:
    """Adds a client; returns the process's exit status."""
    limits, windows = options.limit or [], options.window or []
    if len(limits) != len(windows):
        return complain("each --limit needs a --window, in the same order")
    keys = []
    for file in options.public_key:
        try:
            keys.append(load_public_key(file))
        except (OSError, ValueError) as error:
            return complain(f"{file}: {error}")
    try:
        secret = create_client(
            options.clients_file,
            options.pepper_file,
            client_id=options.client_id,
            tenant=options.tenant,
            scopes=options.scope,
            roles=options.role,
            public_keys=keys,
            quotas=list(zip(limits, windows, strict=True)),
            replace=options.replace,
        )
    except (ValidationError, ClientsFileInvalid, PepperInvalid, OSError) as error:
        return complain(_reason(error))
    answer = {"client_id": options.client_id}
    if secret:
        answer["client_secret"] = secret
    tell(answer)
    return 0


def create_key_from(options: argparse.Namespace) -> int:
    """Adds an API key; returns the process's exit status."""
    if options.days is not None and not 1 <= options.days <= 36_500:
        return complain("--days must be between 1 and 36500")
    ends = datetime.now(UTC) + timedelta(days=options.days) if options.days else None
    try:
        key = create_key(
            options.clients_file,
            options.pepper_file,
            client_id=options.client_id,
            scopes=options.scope,
            name=options.name,
            expires_at=ends,
        )
    except (ValidationError, ClientsFileInvalid, PepperInvalid, OSError) as error:
        return complain(_reason(error))
    tell({"key_id": key.key_id, "api_key": key.text})
    return 0


def tell(answer: Mapping[str, object]) -> None:
    """Prints an answer for programs to read."""
    sys.stdout.write(json.dumps(answer) + "\n")


def complain(message: str) -> int:
    """Says why nothing was done; returns the exit status for that."""
    sys.stderr.write(f"gateway: {message}\n")
    return 1


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))
    return str(error)

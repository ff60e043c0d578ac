"""The keys and the demo client, made at the first start with the services' own commands."""

import json
import sys
from pathlib import Path
from typing import Any

from weir_local.home import Home, identity_directory, write_json
from weir_local.process import run_to_end

CLIENT_ID = "demo"
_SCOPES = (
    "models:predict",
    "models:read",
    "models:manage",
    "predictions:read",
    "predictions:export",
    "predictions:write",
    "inputs:read",
    "privacy:erase",
    "feedback:write",
    "drift:read",
    "drift:manage",
    "audit:read",
    "admin",
)
_LIMIT = 60_000
_WINDOW = 60
"""Seconds."""


class IdentityError(Exception):
    """A key or client could not be made; the message says why."""


class Identity:
    """Files that the gateway, inference and the prediction log read."""

    def __init__(self, home: Home) -> None:
        # A directory of their own: the gateway locks the directory of the clients file when it
        # edits that file, and the home is locked already.
        self.signing_keys = home.identity / "signing-keys"
        self.clients = home.identity / "clients.yaml"
        self.pepper = home.identity / "pepper"
        self.log_keys = home.identity / "log-keys"
        self.input_sealing_key = self.log_keys / "input-sealing-key.pem"
        self.input_sealing_private_key = self.log_keys / "input-sealing-private-key.pem"
        self.master_keys = self.log_keys / "master-keys.json"
        self.subject_secret = self.log_keys / "subject-secret"
        self.audit_signing_key = self.log_keys / "audit-signing-key.pem"


def ensure_identity(home: Home, address: str) -> Identity:
    """Makes what is missing, and tells the client where tokens are given out at this start.

    Raises:
        IdentityError: a command failed.
        OSError: a file cannot be written.
    """
    home.identity.mkdir(exist_ok=True, mode=0o700)
    identity = Identity(home)
    _ensure_signing_keys(home, identity)
    if not identity.master_keys.exists():
        # The last that it makes: where that is missing, others may be.
        _run("prediction_log", "create-keys", "--directory", str(identity.log_keys))
    client = _read_client(home.client_file)
    if client is None or not identity.clients.exists():
        client = _create_client(identity)
    write_json(
        home.client_file,
        {
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "token_url": f"{address}/oauth2/token",
        },
    )
    return identity


def _ensure_signing_keys(home: Home, identity: Identity) -> None:
    alone = home.identity / "signing-key.pem"
    if alone.exists():
        # Homes had one key and no rotation; as the only file there it goes on signing.
        identity.signing_keys.mkdir(exist_ok=True, mode=0o700)
        alone.rename(identity.signing_keys / alone.name)
    if not any(identity.signing_keys.glob("*.pem")):
        _run("gateway", "rotate-signing-key", "--directory", str(identity.signing_keys))


def audit_public_key(home: Path) -> Path:
    """The key that checkpoints of the audit trail are checked with."""
    return identity_directory(home) / "log-keys" / "audit-public-key.pem"


def _read_client(file: Path) -> dict[str, Any] | None:
    try:
        client: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return client if client.keys() >= {"client_id", "client_secret"} else None


def _create_client(identity: Identity) -> dict[str, Any]:
    scopes = [argument for scope in _SCOPES for argument in ("--scope", scope)]
    output = _run(
        "gateway",
        "create-client",
        *("--clients-file", str(identity.clients), "--pepper-file", str(identity.pepper)),
        *("--client-id", CLIENT_ID, "--tenant", CLIENT_ID, *scopes),
        *("--limit", str(_LIMIT), "--window", str(_WINDOW)),
        # A start that was cut short made one whose secret nobody kept.
        "--replace",
    )
    client: dict[str, Any] = json.loads(output)
    return client


def _run(program: str, *arguments: str) -> str:
    done = run_to_end([sys.executable, "-P", "-m", program, *arguments])
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise IdentityError(f"{program} {arguments[0]} failed: {''.join(reason)}")
    return done.stdout

"""Puts the administration of clients and keys together."""

from datetime import UTC, datetime

from fastapi import APIRouter

from gateway.access import BearerAccess
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import audited_route
from gateway.bootstrap import Bootstrap, load_bootstrap_secret
from gateway.bootstrap_routes import bootstrap_routes
from gateway.client_admin import ClientAdmin
from gateway.client_routes import client_routes
from gateway.idempotency import Idempotency
from gateway.idempotent_route import idempotent_route
from gateway.identity_assembly import Identity
from gateway.key_admin import KeyAdmin
from gateway.key_routes import key_routes
from gateway.settings import Settings


def admin_routes(
    access: BearerAccess,
    identity: Identity,
    audit: AuditTrail,
    idempotency: Idempotency,
    settings: Settings,
) -> list[APIRouter]:
    """The routes of those who decide who may.

    Raises:
        BootstrapSecretInvalid: the bootstrap secret cannot be used.
    """
    directory, store = identity.directory, identity.store
    bootstrap = None
    if settings.bootstrap_secret_file is not None:
        secret = load_bootstrap_secret(settings.bootstrap_secret_file)
        bootstrap = Bootstrap(secret, directory, store, now=_now)
    limit = settings.max_body_bytes
    audited_once = audited_route(audit, idempotent_route(idempotency, access, "admin"))
    clients = ClientAdmin(directory, store, now=_now)
    keys = KeyAdmin(directory, store, now=_now)
    return [
        client_routes(access, directory, clients, audited_once, max_body_bytes=limit),
        key_routes(access, directory, keys, audited_once, max_body_bytes=limit),
        bootstrap_routes(bootstrap, audit),
    ]


def _now() -> datetime:
    return datetime.now(UTC)

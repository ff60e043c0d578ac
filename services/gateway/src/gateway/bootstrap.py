"""Makes the first administrator, once ever, for whoever holds the bootstrap secret."""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway.domain import PLATFORM_TENANT
from gateway.identity_directory import IdentityDirectory
from gateway.identity_errors import BootstrapRefused, BootstrapUsed, IdentityExists
from gateway.identity_records import ClientRecord, KeptSecret
from gateway.identity_store import Change, IdentityStore
from gateway.roles import ROLES
from servicekit.identifiers import new_id

_MIN_CHARACTERS = 32
_SECRET_BYTES = 32


class BootstrapSecretInvalid(Exception):
    """The bootstrap secret cannot be used; the message says why."""


class Bootstrap:
    """The mark that it was used is left in the store in one step with the administrator.

    Args:
        secret: that proves the right to it.
        now: the moment, UTC.
    """

    def __init__(
        self,
        secret: str,
        directory: IdentityDirectory,
        store: IdentityStore,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._secret = secret.encode()
        self._directory = directory
        self._store = store
        self._now = now

    async def use(self, offered: str, client_id: str) -> tuple[ClientRecord, str]:
        """The first administrator, of every role, and its secret.

        Raises:
            BootstrapRefused: the secret offered is wrong.
            BootstrapUsed: it was used before, here or at another gateway.
            IdentityExists: there is a client of that id; the secret is not used up.
            IdentityStoreUnavailable: the store is away; the secret is not used up.
        """
        if not hmac.compare_digest(offered.encode("utf-8", "surrogatepass"), self._secret):
            raise BootstrapRefused("The bootstrap secret is wrong.")
        await self._directory.refresh()
        if await self._store.bootstrapped():
            raise _used()
        if client_id in self._directory.snapshot.clients:
            raise IdentityExists(f"There is a client {client_id} already.")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = self._now()
        kept = KeptSecret(
            number=1, hash=self._directory.declared.pepper.hash(secret), created_at=now
        )
        record = ClientRecord(
            client_id=client_id,
            uid=str(new_id()),
            tenant=PLATFORM_TENANT,
            name="First administrator",
            secrets=(kept,),
            # One gives what one holds: whoever is to appoint all others holds everything.
            roles=tuple(ROLES),
            scopes=("tokens:introspect",),
            revision=1,
            created_at=now,
            changed_at=now,
        )
        if not await self._store.commit(Change(None, record), once=now.isoformat()):
            raise _used()
        await self._directory.refresh_if_possible()
        return record, secret


def load_bootstrap_secret(file: Path) -> str:
    """Reads the bootstrap secret.

    Raises:
        BootstrapSecretInvalid: the file is missing or holds less than 32 characters.
    """
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BootstrapSecretInvalid(f"the bootstrap secret cannot be read: {error}") from error
    if len(secret) < _MIN_CHARACTERS:
        raise BootstrapSecretInvalid(
            f"the bootstrap secret in {file} has less than {_MIN_CHARACTERS} characters"
        )
    return secret


def _used() -> BootstrapUsed:
    return BootstrapUsed("The first administrator was made already; this secret is used up.")

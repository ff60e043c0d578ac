"""Who may prove themselves, as this process knows it at the moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.domain import Client
from gateway.secret_hashes import Pepper


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that can be used."""

    client: Client
    """As a caller with this key is: its scopes are the key's, and its `key_id` is set."""
    secret_hashes: tuple[str, ...]
    expires_at: float | None
    """Seconds since the epoch."""


class ClientRegistry:
    """The clients by their id and the API keys by theirs, without those that are disabled.

    It answers from memory alone. `replace` gives it another content at once; whoever remembers
    something of what it said compares the `generation`.
    """

    def __init__(self, clients: Iterable[Client], pepper: Pepper) -> None:
        self._clients: Mapping[str, Client] = {}
        self._keys: Mapping[str, ApiKey] = {}
        self._pepper = pepper
        self.generation = 0
        """Another one after each replacement."""
        self.replace(clients, {}, pepper)

    def replace(
        self, clients: Iterable[Client], keys: Mapping[str, ApiKey], pepper: Pepper
    ) -> None:
        """Forgets what it knew; from now on this holds."""
        self._clients = {client.client_id: client for client in clients if not client.disabled}
        self._keys = keys
        self._pepper = pepper
        self.generation += 1

    def find(self, client_id: str) -> Client | None:
        """The client of that id, if there is one that is not disabled."""
        return self._clients.get(client_id)

    def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client if the secret is one of its own.

        An unknown client costs the same work as a wrong secret, so that the time taken tells
        nobody which ids exist.
        """
        client = self._clients.get(client_id)
        known = self._pepper.matches(secret, client.secret_hashes if client else ())
        return client if known else None

    def authenticate_key(self, key_id: str, text: str) -> ApiKey | None:
        """The API key if the text is one of its own; an unknown id costs the same work."""
        key = self._keys.get(key_id)
        known = self._pepper.matches(text, key.secret_hashes if key else ())
        return key if known else None

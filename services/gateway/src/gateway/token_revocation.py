"""The fact that a client's access tokens ended."""

import time
from datetime import UTC, datetime, timedelta

from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2

_LONGEST_LIFE = timedelta(minutes=10)
_REMEMBERED = timedelta(minutes=20)
"""How long the stream keeps it: nobody reads back further than a token lives."""


def revocation_of_client(client_id: str) -> tuple[events_pb2.TokensRevoked, int]:
    """The event that ends all tokens that the client has got, and the oldest to keep beside it.

    Returns:
        The event, and milliseconds since the epoch.
    """
    now = datetime.fromtimestamp(time.time(), UTC)
    event = events_pb2.TokensRevoked(event_id=str(new_id()), client_id=client_id)
    event.occurred_at.FromDatetime(now)
    event.expires_at.FromDatetime(now + _LONGEST_LIFE)
    return event, int((now - _REMEMBERED).timestamp() * 1000)

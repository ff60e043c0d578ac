"""Access tokens that nobody may use any more, though they have not expired."""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import Counter, Gauge

from servicekit.errors import Unavailable
from servicekit.request_context import Principal

_log = structlog.get_logger(__name__)

LONGEST_LIFE = 600.0
"""Seconds from a token's `iat` to its `exp`, at most: RFC 9068 leaves it to us, and what was
revoked must be remembered as long."""
CLOCK_LEEWAY = 5.0
"""Seconds that another machine's clock may be ahead, or behind."""
_MOST_TOKENS = 200_000
"""Single tokens on the list, some 50 MB: 333 revoked a second, for ten minutes."""

LISTED = Gauge("weir_revocations_listed", "Revocations that have not been outlived yet.")
DROPPED = Counter(
    "weir_revocations_dropped_total",
    "Revoked tokens that were forgotten before they expired, because there were too many.",
)


class TokensRevoked(Protocol):
    """The fact, as `weir.events.v1` describes it, that tokens were revoked."""

    token_id: str
    """The `jti` of the one token; empty where all of a client are meant."""
    client_id: str
    occurred_at: Timestamp
    expires_at: Timestamp


class RevocationsUnknown(Unavailable):
    """What was revoked has not been read yet, so no token can be trusted."""

    reason = "REVOCATIONS_UNKNOWN"


class RevocationList:
    """What was revoked and would otherwise still be good.

    An entry is forgotten once every token that it concerns has expired. Beyond `most_tokens` those
    that expire first are forgotten early, for they can do the least harm; that is counted.

    Args:
        complete: whether all that was revoked is on it already; until then it vouches for nobody.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        complete: bool = True,
        most_tokens: int = _MOST_TOKENS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.complete = complete
        self._most_tokens = most_tokens
        self._clock = clock
        self._tokens: set[str] = set()
        self._clients: dict[str, float] = {}
        """Up to which `iat` a client's tokens are revoked."""
        self._token_ends: list[tuple[float, str]] = []
        self._client_ends: list[tuple[float, str]] = []
        self._drops = False

    def __len__(self) -> int:
        return len(self._tokens) + len(self._clients)

    def add(self, event: TokensRevoked) -> None:
        """Puts on the list what the event revokes; a repetition changes nothing.

        Raises:
            ValueError: it names neither a token nor a client with a moment.
        """
        if event.token_id:
            self._add_token(event.token_id, event.expires_at)
        elif event.client_id and event.occurred_at.ToNanoseconds():
            self._add_client(event.client_id, event.occurred_at.ToNanoseconds() / 1e9)
        else:
            raise ValueError("it says neither which token nor whose tokens are revoked")
        self.forget_expired()

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token that the principal came with was revoked.

        Raises:
            RevocationsUnknown: the list is not complete yet.
        """
        if not self.complete:
            raise RevocationsUnknown(
                "It is not known yet which tokens were revoked.", retry_after=1.0
            )
        if principal.token_id in self._tokens:
            return True
        up_to = self._clients.get(principal.client_id)
        return up_to is not None and principal.issued_at <= up_to

    def forget_expired(self) -> None:
        """Drops what has outlived the tokens that it concerns."""
        now = self._clock()
        while self._token_ends and self._token_ends[0][0] <= now:
            self._tokens.discard(heappop(self._token_ends)[1])
        while self._client_ends and self._client_ends[0][0] <= now:
            client_id = heappop(self._client_ends)[1]
            # A later event may have moved the moment on; then another end is to come.
            if _end_of(self._clients.get(client_id, 0.0)) <= now:
                self._clients.pop(client_id, None)
        LISTED.set(len(self))

    def _add_token(self, token_id: str, expires_at: Timestamp) -> None:
        if token_id in self._tokens:
            return
        # Nobody's clock is believed beyond what a token can live.
        latest = self._clock() + CLOCK_LEEWAY + LONGEST_LIFE
        stated = expires_at.ToNanoseconds() / 1e9
        self._tokens.add(token_id)
        # Verifiers take a token for the leeway longer than it says.
        heappush(self._token_ends, (min(stated or latest, latest) + CLOCK_LEEWAY, token_id))
        if len(self._tokens) > self._most_tokens:
            self._tokens.discard(heappop(self._token_ends)[1])
            DROPPED.inc()
            if not self._drops:
                _log.error("revocations_dropped", most=self._most_tokens)
            self._drops = True

    def _add_client(self, client_id: str, occurred_at: float) -> None:
        # An issuer whose clock is ahead dates its tokens later than it issued them; one that is
        # further ahead than this issues tokens that nobody takes. The price: a token issued within
        # these seconds after the revocation is refused, too.
        up_to = min(occurred_at, self._clock() + CLOCK_LEEWAY) + CLOCK_LEEWAY
        if up_to <= self._clients.get(client_id, 0.0):
            return
        self._clients[client_id] = up_to
        heappush(self._client_ends, (_end_of(up_to), client_id))


def _end_of(up_to: float) -> float:
    """When the last token with that `iat` has expired for everybody."""
    return up_to + LONGEST_LIFE + CLOCK_LEEWAY

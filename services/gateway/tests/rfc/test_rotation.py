"""Keys change while tokens are issued and verified: no verification fails."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from joserfc import jws

from gateway.key_directory import load_keys
from gateway.key_rotation import rotate
from gateway.signing_keys import PUBLISHED_MAX_AGE, RETIRES_FOR, KeyRing
from gateway.token_issuer import TokenIssuer
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from testkit.issuer import AUDIENCE, ISSUER

START = datetime.now(UTC)
STEP = 10
LEAD = timedelta(minutes=10)


class Clock:
    """Seconds since the epoch, as this test says."""

    def __init__(self) -> None:
        self.now = START.timestamp()

    def __call__(self) -> float:
        return self.now


class CachingWeb(httpx.AsyncBaseTransport):
    """Gives the published keys, as old as their max-age allows."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._body = b""
        self._good_until = 0.0
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self._clock() >= self._good_until:
            self._body = self._ring.published.body
            self._good_until = self._clock() + PUBLISHED_MAX_AGE
        return httpx.Response(200, content=self._body)


@pytest.mark.parametrize("refetch_interval", [5.0, 60.0])
async def test_tokens_from_before_during_and_after_a_rotation_verify(
    tmp_path: Path, refetch_interval: float
) -> None:
    clock = Clock()
    (first,) = rotate(tmp_path, now=START)
    ring = KeyRing(load_keys(tmp_path), clock=clock)
    issuer = TokenIssuer(ring, issuer=ISSUER, audience=AUDIENCE, lifetime=600, clock=clock)
    web = CachingWeb(ring, clock)
    issued: list[tuple[float, str]] = []
    signers: list[str] = []
    async with httpx.AsyncClient(transport=web) as http:
        source = RemoteKeySource(
            "http://gateway/jwks", http, refetch_interval=refetch_interval, clock=clock
        )
        for seconds in range(0, int(LEAD.total_seconds() + RETIRES_FOR) + 700, STEP):
            clock.now = START.timestamp() + seconds
            now = datetime.fromtimestamp(clock.now, UTC)
            if seconds == 120:
                rotate(tmp_path, now=now, lead=LEAD)
            rotate(tmp_path, now=now, if_older_than=timedelta(days=30))
            ring.replace(load_keys(tmp_path))
            issued.append((clock.now + 600, issuer.issue("c", "t", ["models:read"]).value))
            signers.append(jws.extract_compact(issued[-1][1].encode()).headers()["kid"])
            # A verifier without memory of tokens, so that each one's key is needed.
            verifier = AccessTokenVerifier(source, issuer=ISSUER, audience=AUDIENCE, clock=clock)
            issued = [(end, token) for end, token in issued if end > clock.now]
            for _, token in (issued[0], issued[len(issued) // 2], issued[-1]):
                assert (await verifier.verify(token)).client_id == "c"
    assert signers[0] == first
    assert len(set(signers)) == 2
    assert web.asked <= 3
    assert first not in ring.published.keys

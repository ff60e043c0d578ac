"""What it costs to tell who asks, CPU µs: `make bench BENCH=known_credentials`.

Method: the gateway's own decision (`BearerAccess`) on requests with ten headers, once with an API
key and once with an access token that it has seen before, in this process and nothing else. The
best of the rounds is told: what disturbs a round only adds to it. Exits with 1 where a target is
missed.
"""

import asyncio
import sys
import time

from rich.console import Console
from starlette.requests import Request

from gateway.access import BearerAccess
from gateway.api_key_format import new_api_key, new_key_id
from gateway.api_key_verifier import ApiKeyVerifier
from gateway.audit_trail import AuditTrail
from gateway.client_registry import ApiKey, ClientRegistry
from gateway.domain import Client
from gateway.identity_store import IdentityStore
from gateway.key_usage import KeyUsage
from gateway.secret_hashes import Pepper
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.event_stream import EventPublisher
from servicekit.redis_client import open_redis
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

TARGET_US = 20.0
_ROUNDS = 40
_REQUESTS = 500
_SCOPE = "models:predict"


async def _main() -> int:
    issuer = FakeIssuer()
    key = new_api_key(new_key_id())
    access = _access(issuer, key.key_id, key.text)
    token = issuer.token(_SCOPE)
    costs = {
        "API key": await _cost(access, (b"x-api-key", key.text.encode())),
        "access token": await _cost(access, (b"authorization", f"Bearer {token}".encode())),
    }
    console = Console()
    for name, cost in costs.items():
        console.print(f"{name}: {cost:.1f} µs (target {TARGET_US:.0f})")
    return int(max(costs.values()) > TARGET_US)


def _access(issuer: FakeIssuer, key_id: str, text: str) -> BearerAccess:
    pepper = Pepper(bytes(32))
    client = Client("client-1", "tenant-1", (), frozenset({_SCOPE}), (), key_id=key_id)
    registry = ClientRegistry([], pepper)
    registry.replace([client], {key_id: ApiKey(client, (pepper.hash(text),), None)}, pepper)
    # Nothing is asked of it: uses are stored beside the requests, and nobody is refused.
    redis = open_redis("redis://127.0.0.1:1/0", timeout=1.0)
    usage = KeyUsage(IdentityStore(redis, revocations="weir:revocations"))
    audit = AuditTrail(EventPublisher(redis), stream="weir:audit", capacity=1)
    tokens = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
    return BearerAccess(tokens, registry, ApiKeyVerifier(registry, usage), audit)


async def _cost(access: BearerAccess, credential: tuple[bytes, bytes]) -> float:
    others = [(f"x-header-{number}".encode(), b"value") for number in range(9)]
    scope = {"type": "http", "headers": [*others, credential], "state": {}}
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for _ in range(_REQUESTS):
            await access.caller(Request(scope), (_SCOPE,))
        best = min(best, (time.process_time() - started) / _REQUESTS)
    return best * 1e6


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))

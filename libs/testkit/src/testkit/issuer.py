"""An issuer of access tokens whose every claim a test can bend."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ISSUER = "https://issuer.test"
AUDIENCE = "weir"


class FakeIssuer:
    """Signs tokens as the gateway does and publishes its key."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", auto_kid=True)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set."""
        return dict(KeySet([self.key]).as_dict(private=False))

    async def find(self, key_id: str) -> ECKey | None:
        """The key of that id: this object is a source of keys for a verifier."""
        return self.key if key_id == self.key.kid else None

    def token(
        self,
        *scopes: str,
        client_id: str = "client-1",
        tenant: str = "tenant-1",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A valid token of ten minutes; `header` and `claims` replace parts, None drops a claim.

        With the scope of a delegate it is the gateway's: nobody else may be one.
        """
        if "delegate" in scopes and client_id == "client-1":
            client_id = "weir-gateway"
        now = int(time.time())
        content = {
            "iss": ISSUER,
            "sub": client_id,
            "aud": AUDIENCE,
            "client_id": client_id,
            "tenant": tenant,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + 600,
            "jti": uuid4().hex,
        } | claims
        content = {name: value for name, value in content.items() if value is not None}
        head = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid} | (header or {})
        return jwt.encode(head, content, self.key)


@contextmanager
def published_keys(issuer: FakeIssuer) -> Iterator[str]:
    """Serves the issuer's JWK set over HTTP; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(issuer.jwks()).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        finally:
            server.shutdown()
            thread.join()

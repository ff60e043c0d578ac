"""An OpenID Connect issuer on loopback whose every answer a test can bend."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey


@cache
def _keys() -> dict[str, Key]:
    """Made once: an RSA key takes a while."""
    return {
        "RS256": RSAKey.generate_key(2048, auto_kid=True),
        "ES256": ECKey.generate_key("P-256", auto_kid=True),
    }


class OidcIssuer:
    """Answers discovery and its JWK set; signs tokens with any of its keys.

    Attributes:
        requests: the paths that were asked for.
        headers: sent with each answer.
        discovery: replaces parts of the discovery document.
        status: of each answer; 200 but for a test's will.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realm"
        self.keys = dict(_keys())
        self.requests: list[str] = []
        self.headers: dict[str, str] = {}
        self.discovery: dict[str, Any] = {}
        self.status = 200

    def answer(self, path: str) -> Any:
        """What a GET of the path answers; None for nothing."""
        self.requests.append(path)
        match path:
            case "/realm/.well-known/openid-configuration":
                return {
                    "issuer": self.issuer,
                    "jwks_uri": self.issuer.replace("/realm", "/keys"),
                } | self.discovery
            case "/keys":
                return KeySet(list(self.keys.values())).as_dict(private=False)
        return None

    def token(self, algorithm: str = "RS256", *, header: Any = None, **claims: Any) -> str:
        """A token of an hour; `header` and `claims` replace parts, None drops a claim."""
        now = int(time.time())
        content = {
            "iss": self.issuer,
            "sub": "ann",
            "aud": "weir",
            "iat": now,
            "exp": now + 3600,
        } | claims
        content = {name: value for name, value in content.items() if value is not None}
        key = self.keys[algorithm]
        head = {"alg": algorithm, "typ": "JWT", "kid": key.kid} | (header or {})
        return jwt.encode(head, content, key, algorithms=[algorithm])


@contextmanager
def running_oidc_issuer() -> Iterator[OidcIssuer]:
    """An issuer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = issuer.answer(self.path)
            self.send_response(404 if content is None else issuer.status)
            for name, value in issuer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = OidcIssuer(server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()

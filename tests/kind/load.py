"""Asks one gateway for predictions until it is ended: load.py ADDRESS CLIENT_FILE."""

import base64
import json
import sys
import threading
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path

THREADS = 8
TEXTS = [f"A film of rare grace, number {number}." for number in range(64)]


def ask(address: str, client: dict[str, str]) -> None:
    """Goes on for ever, with a new token after each failure."""
    while True:
        with suppress(OSError):
            headers = {"authorization": f"Bearer {token(address, client)}"}
            while True:
                post(f"{address}/predict/batch", headers, json.dumps({"texts": TEXTS}).encode())


def token(address: str, client: dict[str, str]) -> str:
    """An access token."""
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
    answer = post(f"{address}/oauth2/token", {"authorization": f"Basic {basic}"}, form)
    content: dict[str, str] = json.loads(answer)
    return content["access_token"]


def post(url: str, headers: dict[str, str], body: bytes) -> bytes:
    """The answer's body; an error where it is no success."""
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    request = urllib.request.Request(url, body, {**headers, "content-type": kind})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def main() -> None:
    """Starts the threads."""
    address, file = sys.argv[1:]
    client = json.loads(Path(file).read_text())
    threads = [threading.Thread(target=ask, args=(address, client)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()

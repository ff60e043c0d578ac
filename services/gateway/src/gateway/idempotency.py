"""Requests that are made once, however often they are sent (Idempotency-Key).

The first answer with a 2xx is repeated for a day. Whatever else it was, nothing, or nothing that
would be wrong twice, has happened: the key is free again. While Redis is away requests are answered
without: who sends a key would rather have a second prediction than none, and `Idempotency-Status`
says what they got.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Literal

import structlog
from fastapi import Request
from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import Message

from gateway.access import Caller
from gateway.idempotency_keys import HEADER, key_from
from gateway.idempotency_store import IdempotencyStore, StoreAway, StoredAnswer, entry_of
from gateway.request_body import read_body
from gateway.request_errors import IdempotencyKeyReused, RequestInFlight
from gateway.request_headers import first_values
from servicekit.errors import FieldViolation, InvalidInput

_log = structlog.get_logger(__name__)

REQUESTS = Counter(
    "weir_idempotent_requests_total", "Requests with an Idempotency-Key.", ["outcome"]
)
STATUS_HEADER = "Idempotency-Status"
_HEADER = HEADER.lower().encode()
Status = Literal["kept", "repeated", "not-kept"]
_KEPT_HEADERS = frozenset(
    {"cache-control", "content-type", "etag", "inference-header-content-length", "location"}
)
_LARGEST = 256 * 1024
"""Bytes; a batch of 256 with all probabilities has a third of that."""


class Idempotency:
    """Answers each key's first request, and repeats that answer to the others.

    Args:
        max_body_bytes: largest body read.
    """

    def __init__(self, store: IdempotencyStore, *, max_body_bytes: int) -> None:
        self._store = store
        self._max_body_bytes = max_body_bytes

    async def once(
        self, request: Request, caller: Caller, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The answer to a request of an authenticated caller.

        Args:
            answer: makes it. For a request with a key it goes on when the client leaves, so that
                the answer is there when they ask again.

        Raises:
            InvalidInput: the key is none.
            RequestInFlight: its first request is being answered.
            IdempotencyKeyReused: it stands for another request.
            ServiceError: what `answer` raised.
        """
        key = first_values(request.scope).get(_HEADER)
        if key is None:
            return await answer(request)
        stated = key.decode("latin-1")
        body = await read_body(request, self._max_body_bytes)
        fingerprint = _fingerprint(request, body)
        entry, mark = entry_of(caller.client_id, _key(stated)), os.urandom(16)
        try:
            found = await self._store.claim(entry, fingerprint, mark)
        except StoreAway:
            return _told(await answer(_replayed(request, body)), "not-kept")
        if found.answer is not None:
            return _told(_repeated(found.answer), "repeated")
        if found.state == "in flight":
            REQUESTS.labels("in-flight").inc()
            raise RequestInFlight(
                "A request with this Idempotency-Key is being answered.", retry_after=1.0
            )
        if found.state == "other request":
            REQUESTS.labels("reused").inc()
            raise IdempotencyKeyReused(
                "The Idempotency-Key stands for another request.",
                violations=[FieldViolation(HEADER, "stands for another request already")],
            )
        return await self._first(entry, fingerprint, mark, lambda: answer(_replayed(request, body)))

    async def _first(
        self,
        entry: str,
        fingerprint: bytes,
        mark: bytes,
        answer: Callable[[], Awaitable[Response]],
    ) -> Response:
        kept = False
        try:
            made = await answer()
            if 200 <= made.status_code < 300 and len(made.body) <= _LARGEST:
                stored = StoredAnswer(
                    made.status_code,
                    {name: made.headers[name] for name in _KEPT_HEADERS if name in made.headers},
                    bytes(made.body),
                )
                kept = await self._tried(self._store.keep(entry, fingerprint, mark, stored))
        finally:
            if not kept:
                await self._tried(self._store.release(entry, mark))
        return _told(made, "kept" if kept else "not-kept")

    @staticmethod
    async def _tried(change: Awaitable[bool]) -> bool:
        try:
            return await change
        except StoreAway:
            # The mark goes when its lease ends.
            _log.debug("idempotency_store_away")
            return False


def _key(stated: str) -> str:
    try:
        return key_from(stated)
    except ValueError as error:
        fault = FieldViolation(HEADER, str(error))
        raise InvalidInput("The Idempotency-Key cannot be taken.", violations=[fault]) from error


def _fingerprint(request: Request, body: bytes) -> bytes:
    """Of all that decides what is asked for."""
    headers = request.headers
    about = (
        request.method,
        request.url.path,
        request.url.query,
        *(headers.get(name, "") for name in ("content-type", "content-encoding")),
        headers.get("inference-header-content-length", ""),
    )
    return sha256("\0".join(about).encode() + b"\0" + body).digest()


def _replayed(request: Request, body: bytes) -> Request:
    """The request with its body still to be read, from a client who never leaves."""
    read = False

    async def receive() -> Message:
        nonlocal read
        if read:
            await asyncio.get_running_loop().create_future()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def _repeated(answer: StoredAnswer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def _told(response: Response, status: Status) -> Response:
    REQUESTS.labels(status).inc()
    response.headers[STATUS_HEADER] = status
    return response

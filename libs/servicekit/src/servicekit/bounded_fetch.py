"""Fetches small JSON documents from servers that may be slow, broken or hostile."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from servicekit.late_http import LateHttp

LARGEST = 256 * 1024
"""Bytes of a document."""
LONGEST_WAIT = 5.0
"""Seconds for all of it: httpx's own limits are for each single step."""
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_MUST_ASK = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)


class FetchFailed(Exception):
    """The document cannot be had; the message says why, for the log."""


@dataclass(frozen=True, slots=True)
class Document:
    """An answer; `content` is None when nothing has changed since the one with that `etag`."""

    content: Any
    etag: str
    max_age: float | None
    """Seconds that it may be used without asking again; None where the server does not say."""


async def fetch_json(http: httpx.AsyncClient | LateHttp, url: str, *, etag: str = "") -> Document:
    """The JSON document at `url`.

    Redirects are not followed: whoever is trusted is trusted at the address that was configured.

    Args:
        etag: of the document that is there already; empty for none.

    Raises:
        FetchFailed: nobody answers in time, or with something else.
    """
    headers = {"Accept": "application/json, application/jwk-set+json"}
    if etag:
        headers["If-None-Match"] = etag
    try:
        async with (
            asyncio.timeout(LONGEST_WAIT),
            http.stream("GET", url, headers=headers, follow_redirects=False) as response,
        ):
            tag = response.headers.get("etag", "")
            age = _max_age(response.headers)
            if response.status_code == httpx.codes.NOT_MODIFIED and etag:
                return Document(None, tag or etag, age)
            if response.status_code != httpx.codes.OK:
                raise FetchFailed(f"status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise FetchFailed("too large")
        return Document(json.loads(bytes(body)), tag, age)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise FetchFailed(type(error).__name__) from error
    except (ValueError, RecursionError) as error:
        raise FetchFailed("not JSON") from error


def _max_age(headers: Mapping[str, str]) -> float | None:
    control = headers.get("cache-control", "")
    if _MUST_ASK.search(control):
        return 0.0
    stated = _MAX_AGE.search(control)
    return float(stated[1]) if stated else None

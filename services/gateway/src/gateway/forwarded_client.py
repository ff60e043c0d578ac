"""Who really asks, where trusted proxies stand in front: their headers, nobody else's.

Only the one header family that the proxies write is read: a proxy that writes X-Forwarded-For
passes on whatever its client claims in Forwarded, and the other way round.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

_ANYBODY = "*"
_LONGEST = 2048
_STANDARD = frozenset({b"forwarded"})
_USUAL = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))\s*')


class TrustedHops:
    """The addresses of proxies that tell the truth.

    Args:
        listed: addresses and networks, comma-separated; `*` for any.

    Raises:
        ValueError: something else is listed.
    """

    def __init__(self, listed: str) -> None:
        names = [each.strip() for each in listed.split(",") if each.strip()]
        self._all = _ANYBODY in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name) for name in names if name != _ANYBODY
        ]
        self._known = lru_cache(maxsize=4096)(self._look_up)

    def __contains__(self, host: str) -> bool:
        return self._all or self._known(host)

    def _look_up(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class ForwardedClient:
    """ASGI middleware that puts the client's address and scheme where a trusted hop tells them.

    Args:
        standard: reads Forwarded (RFC 7239) instead of X-Forwarded-For and -Proto.
    """

    def __init__(self, app: ASGIApp, trusted: TrustedHops, *, standard: bool) -> None:
        self._app = app
        self._trusted = trusted
        self._hops = _forwarded if standard else _x_forwarded
        self._read = _STANDARD if standard else _USUAL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        if scope["type"] == "http":
            self.believe(scope)
        await self._app(scope, receive, send)

    def believe(self, scope: Scope) -> None:
        """Puts into a request's scope what a trusted hop tells of its client."""
        peer = scope.get("client")
        if (
            peer
            and peer[0] in self._trusted
            and any(name in self._read for name, _ in scope["headers"])
        ):
            self._go_back(scope)

    def _go_back(self, scope: Scope) -> None:
        """Goes back from hop to hop for as long as each one is trusted."""
        client = scheme = ""
        for address, protocol in self._hops(scope["headers"]):
            scheme = protocol or scheme
            # A hop that tells no address hides who came before it.
            if not address:
                break
            client = address
            if address not in self._trusted:
                break
        if client:
            scope["client"] = (client, 0)
        if scheme in ("http", "https"):
            scope["scheme"] = scheme


_Headers = Iterable[tuple[bytes, bytes]]


def _values(headers: _Headers, name: bytes) -> str:
    """All that headers of a name say; nothing where they say more than proxies do."""
    stated = b",".join(value for key, value in headers if key == name)
    return stated.decode("latin-1") if len(stated) <= _LONGEST else ""


def _x_forwarded(headers: _Headers) -> Iterator[tuple[str, str]]:
    """Address and scheme by hop, the nearest first; the scheme is the nearest proxy's word."""
    stated = _values(headers, b"x-forwarded-for")
    protocol = _values(headers, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
    if not stated and not protocol:
        return
    for hop in reversed(stated.split(",")):
        yield _address(hop), protocol


def _forwarded(headers: _Headers) -> Iterator[tuple[str, str]]:
    """The same of RFC 7239; what is not well-formed ends it."""
    for element in reversed(_split_outside_quotes(_values(headers, b"forwarded"), ",")):
        pairs: dict[str, str] = {}
        for part in _split_outside_quotes(element, ";"):
            match = _PAIR.fullmatch(part)
            if match is None:
                return
            pairs[match[1].lower()] = match[2] if match[2] is not None else match[3]
        yield _address(pairs.get("for", "")), pairs.get("proto", "").lower()


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    return re.split(rf'{separator}(?=(?:[^"]*"[^"]*")*[^"]*$)', text)


def _address(hop: str) -> str:
    """An address without its port; empty where it is none (RFC 7239: `unknown`, `_hidden`)."""
    host = hop.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ip_address(host))
    except ValueError:
        return ""

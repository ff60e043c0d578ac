"""Whose word on the client's address and scheme is believed."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.forwarded_client import ForwardedClient, TrustedHops

TRUSTED = "10.0.0.0/8, 192.0.2.7, 2001:db8::/32"


async def seen(
    peer: str, *headers: tuple[str, str], standard: bool = False, trusted: str = TRUSTED
) -> tuple[str, str]:
    """The client's address and the scheme that the application sees."""
    scope: Scope = {
        "type": "http",
        "client": (peer, 4711),
        "scheme": "http",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    middleware = ForwardedClient(app, TrustedHops(trusted), standard=standard)
    await middleware(scope, receive, send)
    return scope["client"][0], scope["scheme"]


FOR, PROTO = "x-forwarded-for", "x-forwarded-proto"


async def test_proxy_tells_who_asks_and_how() -> None:
    assert await seen("10.1.2.3", (FOR, "198.51.100.9"), (PROTO, "https")) == (
        "198.51.100.9",
        "https",
    )


@pytest.mark.parametrize("header", [FOR, "forwarded", "x-real-ip", "true-client-ip"])
@pytest.mark.parametrize("standard", [True, False])
async def test_stranger_is_not_believed(header: str, standard: bool) -> None:
    claim = "for=10.0.0.1;proto=https" if header == "forwarded" else "10.0.0.1"
    told = await seen("198.51.100.9", (header, claim), (PROTO, "https"), standard=standard)
    assert told == ("198.51.100.9", "http")


async def test_what_the_client_itself_put_in_front_is_not_believed() -> None:
    hops = "10.0.0.1, 203.0.113.66, 198.51.100.9, 10.9.9.9"
    assert (await seen("10.1.2.3", (FOR, hops)))[0] == "198.51.100.9"
    split = [(FOR, "203.0.113.66"), (FOR, "198.51.100.9"), (FOR, "10.9.9.9")]
    assert (await seen("10.1.2.3", *split))[0] == "198.51.100.9"


async def test_header_of_the_other_family_is_the_clients_own() -> None:
    claim = ("forwarded", "for=203.0.113.66;proto=https")
    assert await seen("10.1.2.3", claim) == ("10.1.2.3", "http")
    claims = [(FOR, "203.0.113.66"), (PROTO, "https")]
    assert await seen("10.1.2.3", *claims, standard=True) == ("10.1.2.3", "http")


@pytest.mark.parametrize(
    ("value", "address", "scheme"),
    [
        ("for=198.51.100.9;proto=https", "198.51.100.9", "https"),
        ('For="[2001:db9::17]:4711"; Proto=https', "2001:db9::17", "https"),
        ("for=203.0.113.66, for=198.51.100.9;proto=https;by=10.1.1.1", "198.51.100.9", "https"),
        ("for=203.0.113.66;proto=https, for=10.2.2.2", "203.0.113.66", "https"),
        ('for="198.51.100.9, for=1.2.3.4"', "10.1.2.3", "http"),
        ("for=unknown;proto=https", "10.1.2.3", "https"),
        ("for=_hidden", "10.1.2.3", "http"),
        ("for=203.0.113.66, for=unknown", "10.1.2.3", "http"),
        ("for=203.0.113.66, broken", "10.1.2.3", "http"),
        ('for="198.51.100.9', "10.1.2.3", "http"),
        ("proto=javascript;for=198.51.100.9", "198.51.100.9", "http"),
        ("", "10.1.2.3", "http"),
        ("for=198.51.100.9," * 500, "10.1.2.3", "http"),
    ],
)
async def test_forwarded_is_read_as_rfc_7239_has_it(value: str, address: str, scheme: str) -> None:
    told = await seen("10.1.2.3", ("forwarded", value), standard=True)
    assert told == (address, scheme)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("198.51.100.9:4711", "198.51.100.9"),
        ("[2001:db9::17]:4711", "2001:db9::17"),
        ("2001:db9::17", "2001:db9::17"),
        ("evil.example", "10.1.2.3"),
        ("<script>", "10.1.2.3"),
        ("", "10.1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
async def test_only_addresses_are_taken(value: str, address: str) -> None:
    assert (await seen("10.1.2.3", (FOR, value)))[0] == address


async def test_scheme_alone_is_believed_of_a_proxy() -> None:
    assert await seen("192.0.2.7", (PROTO, "https")) == ("192.0.2.7", "https")
    assert (await seen("192.0.2.7", (PROTO, "https, http")))[1] == "http"


async def test_nobody_and_anybody_can_be_trusted() -> None:
    told = (FOR, "203.0.113.66, 198.51.100.9")
    assert (await seen("10.1.2.3", told, trusted=""))[0] == "10.1.2.3"
    assert (await seen("10.1.2.3", told, trusted="*"))[0] == "203.0.113.66"


@pytest.mark.parametrize("listed", ["proxy.example", "10.0.0.1/8", "300.1.1.1"])
def test_what_is_no_address_is_refused_at_the_start(listed: str) -> None:
    with pytest.raises(ValueError):
        TrustedHops(listed)

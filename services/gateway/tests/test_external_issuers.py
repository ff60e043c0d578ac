"""Whose tokens are taken beside our own, and for what."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from gateway.domain import QuotaPolicy, QuotaSubject
from gateway.external_issuers import ExternalIssuers
from servicekit.errors import Unauthenticated, Unavailable
from testkit.oidc import OidcIssuer, running_oidc_issuer

from .trusted_issuers import DEFAULTS, entry, trusting


@pytest.fixture
def oidc() -> Iterator[OidcIssuer]:
    with running_oidc_issuer() as issuer:
        yield issuer


async def refused(subject: ExternalIssuers, token: str, reason: str = "TOKEN_INVALID") -> None:
    with pytest.raises(Unauthenticated) as caught:
        await subject.verify(token)
    assert caught.value.code == reason


async def test_token_of_a_trusted_issuer_makes_its_bearer_a_client(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    subject = trusting(tmp_path, entry(oidc.issuer))
    assert subject.trusts(oidc.issuer)
    client = await subject.verify(oidc.token(groups=["other", "ml"]))
    assert (client.client_id, client.tenant) == ("corp:ann", "acme")
    assert client.scopes == {"models:predict"}
    assert client.quotas == DEFAULTS


@pytest.mark.parametrize(
    ("grant", "claims", "fits"),
    [
        ({"claim": "groups", "value": "ml"}, {"groups": ["ml"]}, True),
        ({"claim": "groups", "value": "ml"}, {"groups": ["mlx", {"ml": 1}, 1]}, False),
        ({"claim": "scope", "value": "ml"}, {"scope": "a ml b"}, True),
        ({"claim": "scope", "value": "ml"}, {"scope": "amlb"}, False),
        ({"claim": "role", "value": "ml"}, {"role": "ml"}, True),
        ({"claim": "role", "value": "ml"}, {}, False),
        ({"claim": "role", "value": "1"}, {"role": 1}, False),
        ({"claim": ["realm", "roles"], "value": "ml"}, {"realm": {"roles": ["ml"]}}, True),
        ({"claim": ["realm", "roles"], "value": "ml"}, {"realm": "roles"}, False),
        ({"claim": "https://x.test/ml"}, {"https://x.test/ml": True}, True),
        ({"claim": "https://x.test/ml"}, {"https://x.test/ml": False}, False),
    ],
    ids=str,
)
async def test_claims_grant_scopes(
    oidc: OidcIssuer, tmp_path: Path, grant: Any, claims: Any, fits: bool
) -> None:
    subject = trusting(
        tmp_path, entry(oidc.issuer, grants=[grant | {"scopes": ["models:predict"]}])
    )
    client = await subject.verify(oidc.token(**claims))
    assert client.scopes == ({"models:predict"} if fits else set())


async def test_role_grants_its_scopes(oidc: OidcIssuer, tmp_path: Path) -> None:
    grants = [{"claim": "groups", "value": "ml", "roles": ["viewer"]}]
    client = await trusting(tmp_path, entry(oidc.issuer, grants=grants)).verify(
        oidc.token(groups=["ml"])
    )
    assert client.scopes == {"models:read", "predictions:read", "drift:read"}


async def test_quotas_are_those_of_the_file(oidc: OidcIssuer, tmp_path: Path) -> None:
    quotas = [{"limit": 5, "window_seconds": 60}]
    client = await trusting(tmp_path, entry(oidc.issuer, quotas=quotas)).verify(oidc.token())
    assert client.quotas == (QuotaPolicy(5, 60, QuotaSubject.CLIENT),)


async def test_unknown_issuer_is_refused_without_a_request(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    subject = trusting(tmp_path, entry("https://login.test"))
    assert not subject.trusts(oidc.issuer)
    await refused(subject, oidc.token())
    assert oidc.requests == []


async def test_discovery_and_keys_are_asked_for_once(oidc: OidcIssuer, tmp_path: Path) -> None:
    subject = trusting(tmp_path, entry(oidc.issuer))
    for number in range(3):
        await subject.verify(oidc.token(sub=f"s-{number}"))
        await refused(subject, oidc.token(header={"kid": f"unknown-{number}"}))
    assert oidc.requests == ["/realm/.well-known/openid-configuration", "/keys"]


async def test_what_was_fetched_stays_while_the_issuer_is_away(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    subject = trusting(tmp_path, entry(oidc.issuer))
    await subject.verify(oidc.token())
    oidc.status = 500
    await subject.verify(oidc.token(sub="bob"))


async def test_issuer_that_was_never_reached_is_unavailable(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    oidc.status = 500
    with pytest.raises(Unavailable):
        await trusting(tmp_path, entry(oidc.issuer)).verify(oidc.token())


@pytest.mark.parametrize(
    "bent",
    [
        {"issuer": "http://127.0.0.1/another"},
        {"jwks_uri": "http://keys.test/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"jwks_uri": 1},
    ],
    ids=str,
)
async def test_discovery_that_leads_astray_is_not_followed(
    oidc: OidcIssuer, tmp_path: Path, bent: dict[str, Any]
) -> None:
    oidc.discovery = bent
    with pytest.raises(Unavailable):
        await trusting(tmp_path, entry(oidc.issuer)).verify(oidc.token())


async def test_redirects_are_not_followed(oidc: OidcIssuer, tmp_path: Path) -> None:
    oidc.status, oidc.headers = 302, {"Location": "/keys"}
    with pytest.raises(Unavailable):
        await trusting(tmp_path, entry(oidc.issuer)).verify(oidc.token())
    assert len(oidc.requests) == 1


async def test_documents_beyond_all_bounds_are_not_read(oidc: OidcIssuer, tmp_path: Path) -> None:
    oidc.discovery = {"padding": "x" * 300_000}
    with pytest.raises(Unavailable):
        await trusting(tmp_path, entry(oidc.issuer)).verify(oidc.token())


async def test_keys_may_be_named_in_the_file(oidc: OidcIssuer, tmp_path: Path) -> None:
    where = oidc.issuer.replace("/realm", "/keys")
    assert await trusting(tmp_path, entry(oidc.issuer, jwks_uri=where)).verify(oidc.token())
    assert oidc.requests == ["/keys"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": "a\n"},
        {"sub": "x" * 128},
        {"exp": None},
        {"iat": None},
        {"exp": int(time.time()) + 10 * 86_400},
        {"nbf": int(time.time()) + 86_400},
    ],
    ids=str,
)
async def test_token_with_a_wrong_claim_is_refused(
    oidc: OidcIssuer, tmp_path: Path, claims: dict[str, Any]
) -> None:
    await refused(trusting(tmp_path, entry(oidc.issuer)), oidc.token(**claims))


async def test_expired_token_is_refused_with_its_own_reason(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    now = int(time.time())
    token = oidc.token(iat=now - 600, exp=now - 60)
    await refused(trusting(tmp_path, entry(oidc.issuer)), token, "TOKEN_EXPIRED")


async def test_only_listed_algorithms_and_their_own_keys_are_taken(
    oidc: OidcIssuer, tmp_path: Path
) -> None:
    rsa_only = trusting(tmp_path, entry(oidc.issuer))
    await refused(rsa_only, oidc.token("ES256"))
    both = trusting(tmp_path, entry(oidc.issuer, algorithms=["RS256", "ES256"]))
    assert await both.verify(oidc.token("ES256"))
    # The name of one key with the algorithm of another.
    kid = oidc.keys["ES256"].kid
    await refused(both, oidc.token("RS256", header={"kid": kid}))
    forged = OidcIssuer(1)
    forged.issuer = oidc.issuer
    forged.keys = {"RS256": RSAKey.generate_key(2048, {"kid": oidc.keys["RS256"].kid})}
    await refused(both, forged.token())
    forged.keys = {"ES256": ECKey.generate_key("P-256", {"kid": kid})}
    await refused(both, forged.token("ES256"))
    await refused(both, oidc.token(header={"typ": "logout+jwt"}))

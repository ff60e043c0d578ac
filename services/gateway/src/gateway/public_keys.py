"""The public keys that clients sign their assertions with (private_key_jwt, RFC 7523)."""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")
_MIN_RSA_BITS = 2048


def public_jwk(key: dict[str, Any]) -> dict[str, Any]:
    """The JWK (RFC 7517), if it is one that assertions can be verified with; it has a `kid` then.

    Raises:
        ValueError: it is private, malformed or too weak. The message does not repeat it.
    """
    if _PRIVATE & key.keys():
        raise ValueError("holds a private key; only its public part belongs here")
    match key.get("kty"), key.get("crv"):
        case "EC", "P-256":
            kind: type[ECKey] | type[OKPKey] | type[RSAKey] = ECKey
        case "OKP", "Ed25519":
            kind = OKPKey
        case "RSA", None:
            kind = RSAKey
        case _:
            raise ValueError("must be an EC key on P-256, an Ed25519 or an RSA key")
    try:
        imported = kind.import_key(key)
        public = imported.public_key
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError("is no public JWK") from error
    if isinstance(public, RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
        raise ValueError(f"is an RSA key of less than {_MIN_RSA_BITS} bits")
    imported.ensure_kid()
    known = imported.as_dict(private=False)
    return {name: known[name] for name in _MEMBERS if name in known}


def load_public_key(file: Path) -> dict[str, Any]:
    """A public key from a file, JWK or PEM, as a JWK with a `kid`.

    Raises:
        ValueError: it is none.
        OSError: the file cannot be read.
    """
    text = file.read_text("utf-8")
    if "PRIVATE KEY" in text:
        raise ValueError("holds a private key; give the public one")
    if not text.lstrip().startswith("{"):
        return public_jwk(_from_pem(text))
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("is no JWK")
    return public_jwk(content)


def _from_pem(text: str) -> dict[str, Any]:
    for kind in (ECKey, RSAKey, OKPKey):
        try:
            return dict(kind.import_key(text).as_dict(private=False))
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("is neither a JWK nor the PEM of a public key")

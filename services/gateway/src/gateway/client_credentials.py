"""Which credentials a request to the authorization server brings: exactly one kind, or none."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from gateway.domain import OAUTH
from gateway.oauth_answers import LoginRefused, OAuthRefused

ASSERTION_TYPE = f"{OAUTH}:client-assertion-type:jwt-bearer"
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_REPEATABLE = frozenset({"resource", "audience"})


@dataclass(frozen=True, slots=True)
class SecretCredentials:
    """A client's id and secret (RFC 6749, 2.3.1)."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AssertionCredentials:
    """A signed statement of the client's about itself (RFC 7523, 2.2)."""

    assertion: str = field(repr=False)
    client_id: str = ""
    """As stated beside it; empty where it is not."""


class Parameters:
    """The parameters of a form; one without a value counts as absent (RFC 6749, 3.2).

    Raises:
        OAuthRefused: a parameter is there twice that may be there once.
    """

    def __init__(self, form: Iterable[tuple[str, str]]) -> None:
        given = [(name, value) for name, value in form if value]
        self.repeated = {
            name: [value for other, value in given if other == name] for name in _REPEATABLE
        }
        once = [(name, value) for name, value in given if name not in _REPEATABLE]
        self.single = dict(once)
        if len(self.single) < len(once):
            raise OAuthRefused("invalid_request", "A parameter is there twice.")

    def required(self, name: str) -> str:
        """The parameter's value.

        Raises:
            OAuthRefused: it is missing.
        """
        if name not in self.single:
            raise OAuthRefused("invalid_request", f"The parameter {name} is missing.")
        return self.single[name]


def credentials_of(
    parameters: Mapping[str, str], authorization: str | None
) -> SecretCredentials | AssertionCredentials:
    """The credentials that come with a request.

    Raises:
        LoginRefused: there are none that could be a client's.
        OAuthRefused: there are several kinds, or they contradict each other.
    """
    ways = [
        bool(authorization),
        "client_secret" in parameters,
        "client_assertion" in parameters or "client_assertion_type" in parameters,
    ]
    if sum(ways) > 1:
        raise OAuthRefused("invalid_request", "The client authenticates in two ways at once.")
    stated = parameters.get("client_id", "")
    if ways[2]:
        return _assertion(parameters, stated)
    if authorization:
        found = basic_credentials(authorization)
        if found is None or not found.client_id or not found.secret:
            raise LoginRefused("credentials_malformed")
        if stated and stated != found.client_id:
            raise OAuthRefused("invalid_request", "Two client ids contradict each other.")
        return found
    if not stated or "client_secret" not in parameters:
        raise LoginRefused("credentials_missing")
    return SecretCredentials(stated, parameters["client_secret"])


def claimed_client_id(parameters: Mapping[str, str], authorization: str | None) -> str:
    """Who the request says that it comes from, for the record; nothing of it is proved."""
    found = basic_credentials(authorization or "")
    return (
        (found.client_id if found else "")
        or parameters.get("client_id", "")
        or _subject(parameters.get("client_assertion", ""))
    )


def basic_credentials(authorization: str) -> SecretCredentials | None:
    """The id and secret of a Basic header, form-decoded (RFC 6749, 2.3.1); None where it is bad."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    client_id, colon, secret = text.partition(":")
    return SecretCredentials(unquote_plus(client_id), unquote_plus(secret)) if colon else None


def _subject(assertion: str) -> str:
    payload = assertion.split(".")[1:2]
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{''.join(payload)}=="))
    except (ValueError, RecursionError):
        return ""
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) else ""


def _assertion(parameters: Mapping[str, str], stated: str) -> AssertionCredentials:
    if "client_assertion" not in parameters or "client_assertion_type" not in parameters:
        raise OAuthRefused(
            "invalid_request", "client_assertion and client_assertion_type belong together."
        )
    if parameters["client_assertion_type"] != ASSERTION_TYPE:
        raise OAuthRefused("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}.")
    return AssertionCredentials(parameters["client_assertion"], stated)

"""Puts the authorization server together."""

from collections.abc import Callable

from redis.asyncio import Redis

from gateway.attempt_limit import AttemptLimit
from gateway.client_assertions import AssertionVerifier
from gateway.client_authentication import ClientAuthentication, Registry
from gateway.issued_tokens import IssuedTokens
from gateway.oauth_routes import AuthorizationServer
from gateway.revocation_endpoint import RevocationEndpoint, Revoker
from gateway.signing_keys import KeyRing
from gateway.token_endpoint import TokenEndpoint
from gateway.token_introspection import TokenIntrospection
from gateway.token_issuer import TokenIssuer
from gateway.token_settings import TokenIssuingSettings
from gateway.token_targets import TokenTargets
from gateway.used_assertions import UsedAssertions
from servicekit.access_tokens import AccessTokenVerifier


def authorization_server(
    settings: TokenIssuingSettings,
    *,
    keys: KeyRing,
    issuer: TokenIssuer,
    registry: Registry,
    verifier_for: Callable[[str], AccessTokenVerifier],
    events_redis: Redis,
    revoker: Revoker,
) -> AuthorizationServer:
    """The authorization server.

    Args:
        verifier_for: makes one that takes this issuer's tokens for an audience.
    """
    address = settings.issuer.rstrip("/")
    authentication = ClientAuthentication(
        registry,
        AssertionVerifier(registry.find, [settings.issuer, f"{address}/oauth2/token"]),
        UsedAssertions(events_redis),
        AttemptLimit(
            per_address=settings.login_failures_per_address,
            per_client=settings.login_failures_per_client,
        ),
    )
    targets = TokenTargets(settings.audience, settings.audiences, issuer=settings.issuer)
    issued = IssuedTokens({audience: verifier_for(audience) for audience in targets.audiences})
    return AuthorizationServer(
        issuer=settings.issuer,
        keys=keys,
        token=TokenEndpoint(authentication, issuer, targets, issued),
        introspection=TokenIntrospection(authentication, registry, issued),
        revocation=RevocationEndpoint(authentication, issued, revoker),
    )

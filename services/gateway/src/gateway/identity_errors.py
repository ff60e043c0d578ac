"""Who may not, and what cannot be done with clients and keys."""

from servicekit.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Unauthenticated


class TokenMissing(Unauthenticated):
    """No bearer token came with the request."""

    reason = "TOKEN_MISSING"


class ClientUnknown(Unauthenticated):
    """The token is good, its client is no longer one of ours."""

    reason = "CLIENT_UNKNOWN"


class CredentialsAmbiguous(InvalidInput):
    """The request says in more than one way who asks (RFC 6750, 3.1: invalid_request)."""

    reason = "CREDENTIALS_AMBIGUOUS"


class ApiKeyMalformed(Unauthenticated):
    """What came is no API key by its form or its checksum."""

    reason = "API_KEY_MALFORMED"


class ApiKeyRefused(Unauthenticated):
    """An API key that is well-formed and does not pass."""

    def __init__(self, message: str, *, key_id: str) -> None:
        super().__init__(message)
        self.key_id = key_id


class ApiKeyInvalid(ApiKeyRefused):
    """No such API key can be used, or the secret in it is wrong."""

    reason = "API_KEY_INVALID"


class ApiKeyExpired(ApiKeyRefused):
    """The API key's time is over."""

    reason = "API_KEY_EXPIRED"


class ScopeMissing(PermissionDenied):
    """The token does not hold the scope that the route needs."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(f"The credential lacks the scope {scope}.")
        self.scope = scope


class IdentityUnknown(NotFound):
    """The caller's tenant has no such client or key."""

    reason = "IDENTITY_NOT_FOUND"


class IdentityExists(Conflict):
    """There is one of that id already, of whatever tenant."""

    reason = "CLIENT_EXISTS"


class DeclaredInFile(Conflict):
    """The clients file declares it; it is changed there."""

    reason = "DECLARED_IN_FILE"


class SecretsExhausted(Conflict):
    """There are two live secrets already."""

    reason = "TOO_MANY_SECRETS"


class LastProof(Conflict):
    """Without this secret nothing would be left to prove oneself with."""

    reason = "LAST_SECRET"


class ChangedMeanwhile(Conflict):
    """Somebody else changed the same thing at the same time."""

    reason = "CHANGED_MEANWHILE"


class RevisionOutdated(Conflict):
    """It is not as the If-Match header says any more."""

    reason = "REVISION_OUTDATED"


class ScopeNotHeld(PermissionDenied):
    """Nobody may give what they do not hold."""

    reason = "SCOPE_NOT_HELD"


class TenantNotHeld(PermissionDenied):
    """Nobody may make clients of a tenant that is not theirs."""

    reason = "TENANT_NOT_HELD"


class BootstrapRefused(Unauthenticated):
    """The bootstrap secret is wrong."""

    reason = "BOOTSTRAP_REFUSED"


class BootstrapUsed(Conflict):
    """The first administrator was made already."""

    reason = "BOOTSTRAP_USED"

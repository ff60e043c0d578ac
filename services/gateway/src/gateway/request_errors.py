"""What is wrong with a request before anybody looks at what it asks for."""

from servicekit.errors import Conflict, InvalidInput


class MalformedBody(InvalidInput):
    """The body is not JSON at all."""

    reason = "BODY_MALFORMED"


class DuplicateKey(MalformedBody):
    """An object names a key twice: two readers would understand two different things."""

    reason = "JSON_KEY_DUPLICATE"


class JsonTooDeep(MalformedBody):
    """Lists and objects are nested deeper than anything that is asked for here."""

    reason = "JSON_TOO_DEEP"


class JsonTooLarge(MalformedBody):
    """The objects hold more keys than anything that is asked for here."""

    reason = "JSON_TOO_MANY_KEYS"


class TimeoutMalformed(InvalidInput):
    """X-Request-Timeout is no number of seconds."""

    reason = "REQUEST_TIMEOUT_MALFORMED"


class RequestInFlight(Conflict):
    """A request with the same Idempotency-Key is being answered."""

    reason = "IDEMPOTENCY_KEY_IN_FLIGHT"


class IdempotencyKeyReused(InvalidInput):
    """One key, two different requests: 422, as draft-ietf-httpapi-idempotency-key-header asks."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class UnsupportedBody(InvalidInput):
    """The body is of a type that is not read."""

    reason = "CONTENT_TYPE_UNSUPPORTED"


class BodyTooLarge(InvalidInput):
    """The body is longer than the gateway reads."""

    reason = "BODY_TOO_LARGE"


class BodyTooSlow(InvalidInput):
    """The body did not come before the request's deadline."""

    reason = "BODY_TOO_SLOW"

"""The RateLimit fields of draft-ietf-httpapi-ratelimit-headers (structured fields, RFC 9651)."""

import math
from collections.abc import Sequence

from gateway.domain import PolicyState


def rate_limit_headers(states: Sequence[PolicyState]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` for the policies of a request.

    `q` predictions within `w` seconds are allowed; `r` of them are left for the next `t` seconds,
    after which there are more.
    """
    return {
        "ratelimit-policy": ", ".join(
            f'"{state.policy.name}";q={state.policy.limit};w={state.policy.window}'
            for state in states
        ),
        "ratelimit": ", ".join(
            f'"{state.policy.name}";r={max(0, state.remaining)};t={math.ceil(state.changes_in)}'
            for state in states
        ),
    }

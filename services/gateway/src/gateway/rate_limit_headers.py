"""The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11 (structured fields, RFC 9651)."""

import math
from collections.abc import Sequence

from gateway.domain import ConcurrencyCap, CostUnit, PolicyState, QuotaPolicy

_PROBLEM_TYPES = "https://iana.org/assignments/http-problem-types"
EXCEEDED = (
    f"{_PROBLEM_TYPES}#quota-exceeded",
    "Request cannot be satisfied as assigned quota has been exceeded",
)
REDUCED_CAPACITY = (
    f"{_PROBLEM_TYPES}#temporary-reduced-capacity",
    "Request cannot be satisfied due to temporary server capacity constraints",
)
"""Type and title of problems (sections 5.1 and 5.2); their member `violated-policies` names
policies as the fields do."""


def rate_limit_headers(
    states: Sequence[PolicyState],
    violated: Sequence[QuotaPolicy | ConcurrencyCap] | None = None,
) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` for the policies of a request.

    `q` of a unit within `w` seconds are allowed; `r` of them are left for the next `t` seconds,
    after which there are more. The unit is the draft's default, requests, for items: each text of a
    batch counts as one. Tokens are `qu="tokens"`, which the draft's registry does not hold yet.

    Args:
        violated: what a refused request does not fit: `RateLimit` tells of these alone, so that its
            `Retry-After` points at no earlier time than any `t` (section 6).
    """
    if not states:
        return {}
    return {
        "ratelimit-policy": ", ".join(_policy(state.policy) for state in states),
        "ratelimit": ", ".join(
            _limit(state) for state in states if violated is None or state.policy in violated
        ),
    }


def _policy(policy: QuotaPolicy | ConcurrencyCap) -> str:
    if isinstance(policy, ConcurrencyCap):
        return f'"{policy.name}";q={policy.limit};qu="concurrent-requests"'
    unit = ';qu="tokens"' if policy.cost is CostUnit.TOKENS else ""
    return f'"{policy.name}";q={policy.limit}{unit};w={policy.window}'


def _limit(state: PolicyState) -> str:
    left = f'"{state.policy.name}";r={max(0, state.remaining)}'
    if isinstance(state.policy, ConcurrencyCap):
        return left
    return f"{left};t={math.ceil(state.changes_in)}"

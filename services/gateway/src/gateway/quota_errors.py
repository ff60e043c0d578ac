"""What a request is told that asks for more than it may have."""

from collections.abc import Sequence

from gateway.domain import ConcurrencyCap, PolicyState, QuotaPolicy
from servicekit.errors import Exhausted, InvalidInput, Unavailable


class QuotaExceeded(Exhausted):
    """The client has used up a quota, or has too many requests under way.

    `states` tells the standing of each policy, `violated` those that the request does not fit.
    """

    reason = "QUOTA_EXCEEDED"

    def __init__(
        self,
        violated: "tuple[QuotaPolicy | ConcurrencyCap, ...]",
        states: tuple[PolicyState, ...],
        wait: float,
    ) -> None:
        phrases = ", ".join(policy.phrase for policy in violated)
        if all(isinstance(policy, ConcurrencyCap) for policy in violated):
            super().__init__(
                f"No more than {phrases} are allowed.",
                reason="CONCURRENCY_EXCEEDED",
                retry_after=wait,
            )
        else:
            super().__init__(f"The quota of {phrases} is used up.", retry_after=wait)
        self.violated = violated
        self.states = states


class CostOverQuota(InvalidInput):
    """The request asks for more than its client's quota can ever hold."""

    reason = "COST_OVER_QUOTA"


class QuotaUnavailable(Unavailable):
    """The quota store is away; `violated` tells what this request does not fit until it is back.

    This replica's share is smaller than what is asked for, or a policy lets nothing pass then.
    """

    reason = "QUOTA_UNAVAILABLE"

    def __init__(
        self, message: str, violated: "Sequence[QuotaPolicy | ConcurrencyCap]", retry_after: float
    ) -> None:
        super().__init__(message, retry_after=max(1.0, retry_after))
        self.violated = tuple(violated)

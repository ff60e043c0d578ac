"""For whom a call is made: the token's own client, or whom a delegate states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from inference.domain import Caller, DelegationDenied, InputKeeping, Keeping, KeepingInvalid
from servicekit.request_context import Principal
from weir.inference.v1 import inference_pb2 as pb
from weir.predictions.v1 import keeping_pb2

DELEGATION_SCOPE = "delegate"
MAX_RETENTION_CLASS = 32
"""Characters; the log takes no longer name."""

_KEEPING = {
    keeping_pb2.INPUT_KEEPING_ENCRYPTED: InputKeeping.ENCRYPTED,
    keeping_pb2.INPUT_KEEPING_PLAIN: InputKeeping.PLAIN,
}
_CLAIMED = {"encrypted": InputKeeping.ENCRYPTED, "plain": InputKeeping.PLAIN}

Stated: TypeAlias = pb.PredictItem | pb.Delegation
"""What may state a caller and a keeping."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whom a prediction is for, and how its record is kept."""

    caller: Caller
    keeping: Keeping


def speaker_of(said: Stated, principal: Principal) -> Speaker:
    """The identity that a prediction is recorded under.

    Raises:
        DelegationDenied: the token may not speak for the stated caller or keeping.
        KeepingInvalid: the keeping that is stated is none.
    """
    caller = _caller(said, principal)
    return Speaker(caller, _keeping(said, principal, speaks_for_another=bool(caller.delegate_id)))


def _keeping(said: Stated, principal: Principal, *, speaks_for_another: bool) -> Keeping:
    own = Keeping() if speaks_for_another else keeping_claimed(principal)
    if not said.HasField("keeping"):
        return own
    stated = Keeping(
        _KEEPING.get(said.keeping.input, InputKeeping.NOTHING), said.keeping.retention_class
    )
    if stated != own and DELEGATION_SCOPE not in principal.scopes:
        raise DelegationDenied("Only a delegate may state how a record is kept.")
    if len(stated.retention_class) > MAX_RETENTION_CLASS:
        raise KeepingInvalid("The name of the retention class is too long.")
    return stated


def keeping_claimed(principal: Principal) -> Keeping:
    """What the token's claim `keeping` says; nothing is kept where it says nothing.

    The gateway writes it as `{"input": "encrypted", "retention_class": "long"}`.
    """
    claim = principal.claims.get("keeping")
    if not isinstance(claim, Mapping):
        return Keeping()
    retention_class = claim.get("retention_class", "")
    if not isinstance(retention_class, str) or len(retention_class) > MAX_RETENTION_CLASS:
        retention_class = ""
    return Keeping(_CLAIMED.get(str(claim.get("input")), InputKeeping.NOTHING), retention_class)


def _caller(said: Stated, principal: Principal) -> Caller:
    own = Caller(tenant=principal.tenant, client_id=principal.client_id)
    if not said.HasField("caller"):
        return own
    stated = Caller(tenant=said.caller.tenant, client_id=said.caller.client_id)
    if stated == own:
        return own
    if DELEGATION_SCOPE not in principal.scopes:
        raise DelegationDenied("Only a delegate may state on whose behalf it calls.")
    if not stated.tenant or not stated.client_id:
        raise DelegationDenied("A delegate must state both the tenant and the client.")
    return Caller(stated.tenant, stated.client_id, delegate_id=principal.client_id)

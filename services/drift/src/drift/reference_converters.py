"""From references to their contract."""

from drift.reference_shelf import ShownReference
from servicekit.timestamps import to_timestamp
from weir.drift.v1 import references_pb2 as pb


def from_reference(shown: ShownReference) -> pb.KeptReference:
    """A reference as the contract has it."""
    answer = pb.KeptReference(
        reference_id=shown.reference_id,
        model=shown.about.model,
        model_version=shown.about.version,
        source=shown.source,
        rows=shown.rows,
        in_force=shown.in_force,
    )
    if shown.promoted is not None:
        promoted = shown.promoted
        answer.windows = promoted.windows
        answer.first_predicted_at.CopyFrom(to_timestamp(promoted.first_predicted_at))
        answer.last_predicted_at.CopyFrom(to_timestamp(promoted.last_predicted_at))
        answer.promoted_at.CopyFrom(to_timestamp(promoted.promoted_at))
        answer.promoted_by = promoted.promoted_by
        answer.reason = promoted.reason
        answer.accepted_drift = promoted.accepted_drift
    if shown.put is not None:
        answer.in_force_since.CopyFrom(to_timestamp(shown.put.at))
        answer.in_force_by = shown.put.by
        answer.in_force_reason = shown.put.reason
    return answer

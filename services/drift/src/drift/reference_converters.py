"""From references to their contract."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from drift.reference_shelf import ShownReference
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
        answer.first_predicted_at.CopyFrom(_moment(promoted.first_predicted_at))
        answer.last_predicted_at.CopyFrom(_moment(promoted.last_predicted_at))
        answer.promoted_at.CopyFrom(_moment(promoted.promoted_at))
        answer.promoted_by = promoted.promoted_by
        answer.reason = promoted.reason
        answer.accepted_drift = promoted.accepted_drift
    if shown.put is not None:
        answer.in_force_since.CopyFrom(_moment(shown.put.at))
        answer.in_force_by = shown.put.by
        answer.in_force_reason = shown.put.reason
    return answer


def _moment(at: datetime) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(at)
    return moment

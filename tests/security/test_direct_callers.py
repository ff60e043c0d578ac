"""Another tenant's own client, calling the services themselves, sees nothing either."""

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from security.world import EVERYTHING, MINE, THEIRS, World

from weir.drift.v1 import drift_pb2, incidents_pb2, references_pb2
from weir.predictions.v1 import audit_pb2, predictions_pb2, privacy_pb2

SERVICES = [
    service
    for file in (
        predictions_pb2,
        privacy_pb2,
        audit_pb2,
        drift_pb2,
        incidents_pb2,
        references_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS = [(service, method) for service in SERVICES for method in service.methods]
_LONG_AGO = drift_pb2.CompareRangesRequest(
    model="sentiment",
    reference={"from": Timestamp(seconds=1), "to": Timestamp(seconds=2)},
    window={"from": Timestamp(seconds=3), "to": Timestamp(seconds=4)},
)
HARMLESS: dict[str, dict[str, Any]] = {
    "RecordFeedback": {"correct_label": "positive"},
    "EraseSubject": {"subject": "nobody"},
    "GetReport": {"model": "sentiment"},
    "RenderReport": {"model": "sentiment", "format": drift_pb2.REPORT_FORMAT_HTML},
    "ListReports": {"model": "sentiment"},
    "CompareRanges": {
        "model": _LONG_AGO.model,
        "reference": _LONG_AGO.reference,
        "window": _LONG_AGO.window,
    },
    "RenderComparison": {"comparison": _LONG_AGO, "format": drift_pb2.REPORT_FORMAT_MARKDOWN},
    "GetPower": {"model": "sentiment", "rows": 1000, "effect": 0.2},
    "ListReferences": {"model": "sentiment"},
    "PromoteReference": {
        "model": "sentiment",
        "version": "1",
        "range": _LONG_AGO.window,
        "reason": "none",
    },
    "ActivateReference": {
        "model": "sentiment",
        "version": "1",
        "reference_id": "package",
        "reason": "none",
    },
    "SilenceIncident": {"until": Timestamp(seconds=2_000_000_000)},
    # Its own part of the trail repeats the ids that it asked for.
    "ListAuditRecords": {"filter": audit_pb2.AuditFilter(tenant=THEIRS)},
    "ExportPredictions": {"format": predictions_pb2.EXPORT_FORMAT_JSON_LINES},
}
"""What a method needs beside ids to do anything."""

COMPARISONS = ("CompareRanges", "RenderComparison")


def request_of(world: World, method: Any, **fields: Any) -> Message:
    """A request that names all of THEIRS that it has fields for."""
    request = GetMessageClass(method.input_type)(**HARMLESS.get(method.name, {}), **fields)
    for name, value in world.owned.items():
        field = method.input_type.fields_by_name.get(name)
        if field is not None and name != "client_id":
            setattr(request, name, value)
    return request


def ask(world: World, service: Any, method: Any, request: Message) -> tuple[grpc.StatusCode, str]:
    """The status and all that was answered."""
    endpoints = world.platform.endpoints
    target = endpoints.drift if ".drift." in service.full_name else endpoints.prediction_log
    metadata = (("authorization", f"Bearer {world.token(MINE, *EVERYTHING)}"),)
    with grpc.insecure_channel(target) as channel:
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
        }
        call = kinds[method.client_streaming, method.server_streaming](
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        sent: Any = iter([request]) if method.client_streaming else request
        try:
            answer: Any = call(sent, metadata=metadata, timeout=20)
            parts = list(answer) if method.server_streaming else [answer]
        except grpc.RpcError as error:
            return error.code(), error.details()
    return grpc.StatusCode.OK, "".join(part.SerializeToString().decode("latin-1") for part in parts)


@pytest.mark.parametrize(("service", "method"), METHODS, ids=[m.full_name for _, m in METHODS])
def test_nothing_of_another_tenant_is_found(world: World, service: Any, method: Any) -> None:
    status, told = ask(world, service, method, request_of(world, method))
    names_something = any(
        name in method.input_type.fields_by_name
        for name in ("prediction_id", "erasure_id", "incident_id")
    )
    if names_something:
        assert status is grpc.StatusCode.NOT_FOUND, told
    elif method.name == "PromoteReference":
        assert (status, "closed window" in told) == (grpc.StatusCode.INVALID_ARGUMENT, True), told
    elif method.name in COMPARISONS:
        # No window has closed here that could be compared.
        assert (status, "compared" in told) == (grpc.StatusCode.INVALID_ARGUMENT, True), told
    else:
        assert status in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND), told
    for secret in world.secrets:
        assert secret not in told


@pytest.mark.parametrize(
    ("service", "method"),
    [(s, m) for s, m in METHODS if "tenant" in m.input_type.fields_by_name],
    ids=lambda each: each.name,
)
def test_nobody_speaks_for_another_tenant(world: World, service: Any, method: Any) -> None:
    status, told = ask(world, service, method, request_of(world, method, tenant=THEIRS))
    assert status is grpc.StatusCode.PERMISSION_DENIED, told


def test_nobody_but_the_platforms_own_sees_all(world: World) -> None:
    (method,) = audit_pb2.DESCRIPTOR.services_by_name["AuditService"].methods
    request = audit_pb2.ListAuditRecordsRequest(all_tenants=True)
    status, told = ask(world, method.containing_service, method, request)
    assert status is grpc.StatusCode.PERMISSION_DENIED, told

"""Inference, prediction log and drift as real gRPC servers that say what a test tells them.

Like the real ones they check the token of every call, and keep what they were asked.
"""

import asyncio
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import NotFound
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.drift.v1 import (
    drift_pb2,
    drift_pb2_grpc,
    incidents_pb2,
    incidents_pb2_grpc,
    references_pb2,
    references_pb2_grpc,
)
from weir.inference.v1 import inference_pb2 as inference
from weir.inference.v1 import inference_pb2_grpc
from weir.predictions.v1 import audit_pb2 as audit
from weir.predictions.v1 import audit_pb2_grpc, predictions_pb2_grpc, privacy_pb2_grpc
from weir.predictions.v1 import predictions_pb2 as predictions
from weir.predictions.v1 import privacy_pb2 as privacy

from .oip_backend import OIP_SCOPES, FakeOip, register_oip

PREDICTION_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11"
ERASURE_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a22"
INCIDENT_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a33"
REFERENCE_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a44"
PREDICTED_AT = Timestamp(seconds=1_790_000_000)


@dataclass
class Recorder:
    """Keeps the calls and answers with an error, or after waiting, when told to."""

    requests: list[Any] = field(default_factory=list)
    principals: list[request_context.Principal] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)
    failure: Exception | None = None
    wait: Callable[[], Awaitable[Any]] | None = None

    async def note(self, request: Any) -> None:
        self.requests.append(request)
        self.principals.append(request_context.principal.get())
        self.request_ids.append(request_context.request_id.get())
        span = get_current_span().get_span_context()
        self.trace_ids.append(format(span.trace_id, "032x"))
        if self.wait:
            await self.wait()
        if self.failure:
            raise self.failure


class FakeInference(inference_pb2_grpc.InferenceServiceServicer):
    def __init__(self) -> None:
        self.predicts = Recorder()
        self.reads = Recorder()
        self.item_errors: dict[int, inference.ItemError] = {}
        self.models = {
            "sentiment": inference.Model(
                name="sentiment",
                task="text-classification",
                labels=["negative", "positive"],
                versions=[
                    inference.ModelVersion(version="1", traffic_percent=100, loaded_at=PREDICTED_AT)
                ],
                max_characters=5000,
                max_tokens=256,
            ),
            "broken": inference.Model(
                name="broken",
                versions=[
                    inference.ModelVersion(
                        version="2",
                        traffic_percent=100,
                        state=inference.MODEL_VERSION_STATE_UNAVAILABLE,
                        reason="broken/2: a golden example is off",
                    )
                ],
            ),
            "table": inference.Model(name="table", task="tabular-classification"),
        }

    async def Predict(self, request: Any, context: Any) -> Any:
        await self.predicts.note(request)
        return inference.PredictResponse(
            outcomes=[
                inference.ItemOutcome(error=self.item_errors[index])
                if index in self.item_errors
                else inference.ItemOutcome(prediction=self._prediction(request.model))
                for index, _ in enumerate(request.items)
            ]
        )

    async def ListModels(self, request: Any, context: Any) -> Any:
        await self.reads.note(request)
        return inference.ListModelsResponse(models=self.models.values())

    async def GetModel(self, request: Any, context: Any) -> Any:
        await self.reads.note(request)
        if request.model not in self.models:
            raise NotFound("Not loaded.", reason="MODEL_NOT_FOUND")
        return inference.GetModelResponse(model=self.models[request.model])

    def _prediction(self, model: str) -> inference.Prediction:
        return inference.Prediction(
            prediction_id=PREDICTION_ID,
            model=model,
            model_version="1",
            label="positive",
            confidence=0.75,
            probabilities=[
                inference.LabelProbability(label="negative", probability=0.25),
                inference.LabelProbability(label="positive", probability=0.75),
            ],
            inference_ms=3.5,
            predicted_at=PREDICTED_AT,
        )


class FakePredictionLog(predictions_pb2_grpc.PredictionLogServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.prediction = predictions.LoggedPrediction(
            prediction_id=PREDICTION_ID,
            predicted_at=PREDICTED_AT,
            model="sentiment",
            model_version="1",
            client_id="client-1",
            delegate_id="weir-gateway",
            request_id="r-1",
            input_sha256="ab" * 32,
            input_characters=22,
            input_tokens=7,
            label="positive",
            confidence=0.75,
            probabilities={"negative": 0.25, "positive": 0.75},
            inference_ms=3.5,
        )
        self.next_cursor = ""
        self.stats = predictions.GetStatsResponse()
        self.series = predictions.GetStatsSeriesResponse()
        self.exports = Recorder()
        self.export_pieces: list[bytes | Exception | Callable[[], Awaitable[Any]]] = []
        self.export_ended = asyncio.Event()
        self.history = predictions.ListFeedbackResponse()

    async def GetPrediction(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return predictions.GetPredictionResponse(prediction=self.prediction)

    async def ListPredictions(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return predictions.ListPredictionsResponse(
            predictions=[self.prediction], next_cursor=self.next_cursor
        )

    async def GetStats(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.stats

    async def GetStatsSeries(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.series

    async def ExportPredictions(self, request: Any, context: Any) -> Any:
        self.export_ended.clear()
        try:
            await self.exports.note(request)
            for piece in self.export_pieces:
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, bytes):
                    yield predictions.ExportPredictionsResponse(data=piece)
                else:
                    await piece()
        finally:
            self.export_ended.set()

    async def RecordFeedback(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return predictions.RecordFeedbackResponse(feedback_id="feedback-1")

    async def ListFeedback(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.history


class FakePrivacy(privacy_pb2_grpc.PrivacyServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.erasure = privacy.Erasure(
            erasure_id=ERASURE_ID, state=privacy.ERASURE_STATE_RUNNING, requested_at=PREDICTED_AT
        )

    async def EraseSubject(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return privacy.EraseSubjectResponse(erasure=self.erasure)

    async def GetErasure(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return privacy.GetErasureResponse(erasure=self.erasure)


class FakeAudit(audit_pb2_grpc.AuditServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.page = audit.ListAuditRecordsResponse(
            records=[
                audit.AuditRecord(
                    event_id=ERASURE_ID,
                    occurred_at=PREDICTED_AT,
                    recorded_at=PREDICTED_AT,
                    action="token.issue",
                    outcome="refused",
                    client_id="client-1",
                    reason="invalid_client",
                    sequence=7,
                )
            ]
        )

    async def ListAuditRecords(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.page


class FakeDrift(drift_pb2_grpc.DriftServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.report = drift_pb2.Report(model="sentiment", model_version="1")
        self.rendered = drift_pb2.RenderedReport(
            content="<!doctype html><title>Größe</title>".encode(),
            style_sha256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            digest="0011223344556677",
        )
        self.reports = drift_pb2.ListReportsResponse(model="sentiment", model_version="1")
        self.plan = drift_pb2.GetPowerResponse(
            model="sentiment", model_version="1", reference_id="package"
        )

    async def GetReport(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return drift_pb2.GetReportResponse(report=self.report)

    async def RenderReport(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return drift_pb2.RenderReportResponse(rendered=self.rendered)

    async def ListReports(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.reports

    async def CompareRanges(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return drift_pb2.CompareRangesResponse(report=self.report)

    async def RenderComparison(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return drift_pb2.RenderComparisonResponse(rendered=self.rendered)

    async def GetPower(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return self.plan


class FakeIncidents(incidents_pb2_grpc.IncidentServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.incident = incidents_pb2.Incident(
            incident_id=INCIDENT_ID,
            revision=1,
            model="sentiment",
            model_version="2",
            group="text",
            signal="input_tokens",
            direction="up",
            state=incidents_pb2.INCIDENT_STATE_OPEN,
            opened_at=PREDICTED_AT,
            severity="critical",
            action="investigate",
        )
        self.next_cursor = ""

    async def ListIncidents(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return incidents_pb2.ListIncidentsResponse(
            incidents=[self.incident], next_cursor=self.next_cursor
        )

    async def GetIncident(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return incidents_pb2.GetIncidentResponse(incident=self.incident)

    async def AcknowledgeIncident(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return incidents_pb2.AcknowledgeIncidentResponse(incident=self.incident)

    async def SilenceIncident(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return incidents_pb2.SilenceIncidentResponse(incident=self.incident)


class FakeReferences(references_pb2_grpc.ReferenceServiceServicer):
    def __init__(self) -> None:
        self.calls = Recorder()
        self.reference = references_pb2.KeptReference(
            reference_id=REFERENCE_ID,
            model="sentiment",
            model_version="2",
            source="3 windows",
            rows=3000,
            windows=3,
            in_force=True,
        )

    async def ListReferences(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return references_pb2.ListReferencesResponse(
            model="sentiment", model_version="2", references=[self.reference]
        )

    async def PromoteReference(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return references_pb2.PromoteReferenceResponse(reference=self.reference)

    async def ActivateReference(self, request: Any, context: Any) -> Any:
        await self.calls.note(request)
        return references_pb2.ActivateReferenceResponse(reference=self.reference)


@dataclass
class Backends:
    """The three services, and the servers that a test may stop."""

    inference: FakeInference
    log: FakePredictionLog
    privacy: FakePrivacy
    audit: FakeAudit
    drift: FakeDrift
    incidents: FakeIncidents
    references: FakeReferences
    oip: FakeOip
    servers: dict[str, GrpcServer]

    async def stop(self, name: str) -> None:
        await self.servers.pop(name).stop()


@asynccontextmanager
async def running_backends(directory: Path, issuer: FakeIssuer) -> AsyncIterator[Backends]:
    """The services on `<directory>/{inference,log,drift}.sock`."""
    backends = Backends(
        FakeInference(),
        FakePredictionLog(),
        FakePrivacy(),
        FakeAudit(),
        FakeDrift(),
        FakeIncidents(),
        FakeReferences(),
        FakeOip(),
        {},
    )

    def register_inference(servicer: Any, server: Any) -> None:
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
        register_oip(backends.oip, server)

    def register_log(servicer: Any, server: Any) -> None:
        predictions_pb2_grpc.add_PredictionLogServiceServicer_to_server(servicer, server)
        privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(backends.privacy, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(backends.audit, server)

    def register_drift(servicer: Any, server: Any) -> None:
        drift_pb2_grpc.add_DriftServiceServicer_to_server(servicer, server)
        incidents_pb2_grpc.add_IncidentServiceServicer_to_server(backends.incidents, server)
        references_pb2_grpc.add_ReferenceServiceServicer_to_server(backends.references, server)

    incidents = "weir.drift.v1.IncidentService"
    references = "weir.drift.v1.ReferenceService"
    erasing = "weir.predictions.v1.PrivacyService"
    plan: list[tuple[str, str, dict[str, str], Callable[[Any, Any], None], Any]] = [
        (
            "inference",
            "weir.inference.v1.InferenceService",
            {
                "Predict": "models:predict",
                "ListModels": "models:read",
                "GetModel": "models:read",
                **OIP_SCOPES,
            },
            register_inference,
            backends.inference,
        ),
        (
            "log",
            "weir.predictions.v1.PredictionLogService",
            {
                "GetPrediction": "predictions:read",
                "ListPredictions": "predictions:read",
                "GetStats": "predictions:read",
                "GetStatsSeries": "predictions:read",
                "ExportPredictions": "predictions:export",
                "RecordFeedback": "feedback:write",
                "ListFeedback": "predictions:read",
                f"../{erasing}/EraseSubject": "privacy:erase",
                f"../{erasing}/GetErasure": "privacy:erase",
                "../weir.predictions.v1.AuditService/ListAuditRecords": "audit:read",
            },
            register_log,
            backends.log,
        ),
        (
            "drift",
            "weir.drift.v1.DriftService",
            {
                **dict.fromkeys(
                    (
                        "GetReport",
                        "RenderReport",
                        "ListReports",
                        "CompareRanges",
                        "RenderComparison",
                        "GetPower",
                        f"../{incidents}/ListIncidents",
                        f"../{incidents}/GetIncident",
                        f"../{references}/ListReferences",
                    ),
                    "drift:read",
                ),
                f"../{incidents}/AcknowledgeIncident": "drift:manage",
                f"../{incidents}/SilenceIncident": "drift:manage",
                f"../{references}/PromoteReference": "drift:manage",
                f"../{references}/ActivateReference": "drift:manage",
            },
            register_drift,
            backends.drift,
        ),
    ]
    for name, service, scopes, register, servicer in plan:
        server = GrpcServer(
            GrpcServerSettings(grpc_address=f"unix:{directory}/{name}.sock", shutdown_grace=0),
            verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
            scopes={
                posixpath.normpath(f"/{service}/{method}"): scope
                for method, scope in scopes.items()
            },
            tracer_provider=TracerProvider(shutdown_on_exit=False),
        )
        register(servicer, server.grpc)
        server.expose(service)
        await server.start()
        await server.set_serving(True)
        await server.set_serving(True, service="models")
        backends.servers[name] = server
    try:
        yield backends
    finally:
        await asyncio.gather(*(server.stop() for server in backends.servers.values()))

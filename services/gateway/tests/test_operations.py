"""Metrics, documentation, headers, logs and traces."""

from collections.abc import AsyncIterator

import httpx
import prometheus_client
import pytest
import pytest_asyncio
import structlog
from fastapi import APIRouter, FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.app import build_app
from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call
from .test_predict import refused


async def test_every_answer_carries_safe_headers(http: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/nonsense", "/docs", "/oauth2/token"):
        headers = (await http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers
        assert "server" not in headers


async def test_https_is_pinned(app: FastAPI, backends: Backends) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://gateway") as client:
        assert "strict-transport-security" in (await client.get("/health/live")).headers


async def test_well_formed_request_id_is_kept(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health/live", headers={"x-request-id": "mine-7"})
    assert answer.headers["x-request-id"] == "mine-7"


@pytest.mark.parametrize("offered", ["", "two words", "x" * 129, "<script>", "\xff"])
async def test_malformed_request_id_is_replaced(http: httpx.AsyncClient, offered: str) -> None:
    answer = await http.get("/health/live", headers={"x-request-id": offered.encode("latin-1")})
    assert answer.headers["x-request-id"] not in ("", offered)


async def test_documentation_needs_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f'"/docs/{asset}"' in page.text
        answer = await http.get(f"/docs/{asset}")
        assert answer.status_code == 200
        assert answer.content
    # Without it, the page would ask a validator elsewhere.
    assert "validatorUrl: null" in (await http.get("/docs/start.js")).text
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_api_description_is_complete(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    text = str(document)
    for name in ("Problem", "PredictBody", "PredictBatchBody", "FeedbackBody"):
        assert name in schemas
    referenced = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert referenced <= set(schemas)
    predict = document["paths"]["/predict"]["post"]
    assert {"client_credentials": ["models:predict"]} in predict["security"]
    assert {"api_key": []} in predict["security"]
    assert len(predict["security"]) == 2
    assert {"200", "400", "401", "403", "413", "415", "422", "429", "503", "504"} <= set(
        predict["responses"]
    )
    assert schemas["PredictBody"]["properties"]["text"]["examples"]


async def test_metrics_are_labelled_by_route_templates(
    http: httpx.AsyncClient, predict: Call
) -> None:
    await predict({"text": "x"}, path="/v1/models/sentiment/predict")
    await http.get("/some/hidden/path")
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/models/{model}/predict",status="200"' in answer.text
    assert 'route="(none)",status="404"' in answer.text
    assert "hidden" not in answer.text
    assert "weir_quota_decisions_total" in answer.text


async def test_metrics_come_with_examples_for_scrapers_that_take_them(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await http.post(
        "/predict",
        json={"text": "x"},
        headers={
            "authorization": f"Bearer {issuer.token('models:predict')}",
            "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
        },
    )
    assert answer.status_code == 200
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = await http.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    (bucket,) = (line for line in answer.text.splitlines() if trace_id in line and "http_r" in line)
    assert bucket.startswith('weir_http_request_seconds_bucket{le="')


async def test_what_may_never_rise_is_there_as_zero(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")
    for series in (
        "weir_audit_dropped_total",
        'weir_gateway_refused_items_total{bound="all"}',
        'weir_identity_stale{source="store"}',
        'weir_quota_decisions_total{counted_in="process",outcome="allowed"}',
        'weir_backend_refused_calls_total{backend="inference"}',
    ):
        assert f"\n{series}" in answer.text


async def test_failures_of_a_route_are_there_before_the_first(
    http: httpx.AsyncClient, predict: Call
) -> None:
    await predict({"text": "x"})
    answer = await http.get("/metrics")
    assert 'weir_http_requests_total{method="POST",route="/predict",status="500"}' in answer.text


async def test_calls_to_services_are_counted_by_method(
    http: httpx.AsyncClient, predict: Call
) -> None:
    await predict({"text": "x"})
    answer = await http.get("/metrics")
    counted = 'weir_backend_calls_total{backend="inference",code="OK",method="Predict'
    assert counted in answer.text


async def test_unknown_method_does_not_make_a_new_series(http: httpx.AsyncClient) -> None:
    await http.request("BREW", "/predict")
    assert "BREW" not in prometheus_client.generate_latest().decode()


async def test_request_is_one_log_line_without_its_text_or_token(
    predict: Call, issuer: FakeIssuer
) -> None:
    token = issuer.token("models:predict")
    with structlog.testing.capture_logs() as logs:
        await predict({"text": "my diagnosis"}, token=token)
        await predict({"text": "my diagnosis\x00"}, token=token)
    lines = [entry for entry in logs if entry["event"] == "http_request"]
    assert [line["status"] for line in lines] == [200, 422]
    assert (lines[0]["client_id"], lines[0]["route"]) == ("client-1", "/predict")
    assert "diagnosis" not in str(logs)
    assert token not in str(logs)


async def test_probe_that_passes_is_no_news(http: httpx.AsyncClient, backends: Backends) -> None:
    with structlog.testing.capture_logs() as logs:
        await http.get("/health/ready")
        await backends.servers["inference"].set_serving(False)
        await http.get("/health/ready")
    levels = [entry["log_level"] for entry in logs if entry["event"] == "http_request"]
    assert levels == ["debug", "info"]


class TestUnexpectedErrors:
    @pytest_asyncio.fixture
    async def broken(self, tracer_provider: TracerProvider) -> AsyncIterator[httpx.AsyncClient]:
        router = APIRouter()

        @router.get("/broken")
        async def fail() -> None:
            raise RuntimeError("SELECT secret")

        app = build_app([router], request_timeout=1.0, tracer_provider=tracer_provider)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client

    async def test_unexpected_error_is_a_plain_500(self, broken: httpx.AsyncClient) -> None:
        with structlog.testing.capture_logs() as logs:
            answer = await broken.get("/broken")
        refused(answer, 500, "INTERNAL")
        assert "hidden" not in answer.text
        (entry,) = (entry for entry in logs if entry["event"] == "unexpected_error")
        assert entry["exc_info"]
        assert answer.headers["x-content-type-options"] == "nosniff"


class TestTracing:
    @pytest.fixture
    def spans(self) -> InMemorySpanExporter:
        return InMemorySpanExporter()

    @pytest.fixture
    def tracer_provider(self, spans: InMemorySpanExporter) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(spans))
        return provider

    async def test_trace_goes_from_the_caller_through_to_inference(
        self, predict: Call, backends: Backends, spans: InMemorySpanExporter
    ) -> None:
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        answer = await predict({"text": "x"}, traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
        assert answer.headers["x-trace-id"] == trace_id
        assert backends.inference.predicts.trace_ids == [trace_id]
        names = {span.name for span in spans.get_finished_spans()}
        assert "POST /predict" in names
        assert any("Predict" in name and "weir" in name for name in names)

    async def test_probes_are_not_traced(
        self, http: httpx.AsyncClient, spans: InMemorySpanExporter
    ) -> None:
        for path in ("/health/live", "/health/ready", "/metrics"):
            await http.get(path)
        assert not [span for span in spans.get_finished_spans() if span.name.startswith("GET")]

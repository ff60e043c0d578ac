"""Settings, logs, traces, metrics and start-up: the parts around a service."""

import asyncio
import json
import logging
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import structlog
import uvloop
from opentelemetry import trace
from pydantic import Field, SecretStr

from servicekit import request_context
from servicekit.identifiers import new_id, time_of
from servicekit.lifecycle import every
from servicekit.logs import configure_logs
from servicekit.settings import TelemetrySettings
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import (
    configure_tracing,
    current_trace_id,
    current_traceparent,
    serve_metrics,
)
from testkit.otlp import OtlpReceiver
from testkit.waiting import until


class Settings(TelemetrySettings):
    password: SecretStr = Field(min_length=8, description="Opens the door.")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ids_ascend_and_tell_their_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert abs(time_of(ids[0]) - datetime.now(UTC)) < timedelta(seconds=5)
    with pytest.raises(ValueError, match="UUIDv7"):
        time_of(UUID(int=0))


@pytest.mark.parametrize("offered", [None, "", "with space", "a" * 129, "line\nbreak", "é"])
def test_malformed_request_id_is_replaced(offered: str | None) -> None:
    accepted = request_context.accept_request_id(offered)
    assert accepted != offered
    assert len(accepted) == 32


def test_well_formed_request_id_is_kept() -> None:
    assert request_context.accept_request_id("Abc-1_2.3:4") == "Abc-1_2.3:4"


def test_log_lines_are_json_with_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("svc", "svc-1", "info")
    token = request_context.request_id.set("req-1")
    structlog.get_logger().info("thing_done", count=3)
    structlog.get_logger().debug("not_written")
    logging.getLogger("some.library").warning("careful %s", "now")
    logging.getLogger("some.library").info("chatter")
    request_context.request_id.reset(token)
    first, second = lines(capsys)
    assert (first["event"], first["service"], first["count"]) == ("thing_done", "svc", 3)
    assert (first["request_id"], first["level"]) == ("req-1", "info")
    assert (second["event"], second["level"]) == ("careful now", "warning")


def test_exception_is_logged_as_structure(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("svc", "svc-1", "info")
    try:
        raise ValueError("wrong")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert "ValueError" in json.dumps(line["exception"])


def test_local_variables_never_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("svc", "svc-1", "info")
    try:
        secret = "s3cr3t-value"
        raise ValueError(f"wrong length: {len(secret)}")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "s3cr3t-value" not in capsys.readouterr().out


def test_spans_reach_the_collector_and_the_file(
    otlp_receiver: OtlpReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = TelemetrySettings(
        otlp_endpoint=otlp_receiver.endpoint, trace_file=tmp_path / "logs" / "traces.jsonl"
    )
    provider = configure_tracing("svc", settings)
    configure_logs("svc", "svc-1", "info")
    with provider.get_tracer("test").start_as_current_span("work"):
        trace_id = current_trace_id()
        assert current_traceparent().split("-")[1] == trace_id
        structlog.get_logger().info("inside")
    provider.shutdown()
    (span,) = otlp_receiver.wait_for(lambda spans: len(spans) == 1)
    assert (span.service, span.name, span.trace_id) == ("svc", "work", trace_id)
    (line,) = (tmp_path / "logs" / "traces.jsonl").read_text().splitlines()
    assert json.loads(line)["name"] == "work"
    assert lines(capsys)[0]["trace_id"] == trace_id


def test_outside_a_span_there_is_no_trace() -> None:
    assert not trace.get_current_span().get_span_context().is_valid
    assert (current_trace_id(), current_traceparent()) == ("", "")


def test_metrics_are_served_on_a_free_port() -> None:
    port = serve_metrics("127.0.0.1:0")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"weir_grpc_server_calls_total" in answer.read() or answer.status == 200


def test_wrong_settings_are_named_without_their_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEIR_PASSWORD", "short1")

    async def serve(_: Settings) -> None:
        raise AssertionError("it must not be served")

    assert run_service("svc", Settings, serve) == 1
    (line,) = lines(capsys)
    assert line["event"] == "settings_invalid"
    assert "password" in str(line["faults"])
    assert "short1" not in str(line)


@pytest.mark.parametrize("error", [OSError("port 1 is in use"), KeyError("expected")])
def test_expected_error_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    monkeypatch.setenv("WEIR_PASSWORD", "long enough")

    async def serve(_: Settings) -> None:
        raise error

    assert run_service("svc", Settings, serve, expected=(KeyError,)) == 1
    (line,) = lines(capsys)
    assert line["event"] == "cannot_start"
    assert str(error) == line["reason"]


def test_service_that_returns_has_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_PASSWORD", "long enough")

    async def serve(settings: Settings) -> None:
        assert settings.password.get_secret_value() == "long enough"

    assert run_service("svc", Settings, serve) == 0


def test_service_runs_on_an_event_loop_written_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIR_PASSWORD", "long enough")
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve(_: Settings) -> None:
        loops.append(asyncio.get_running_loop())

    assert run_service("svc", Settings, serve) == 0
    assert isinstance(loops[0], uvloop.Loop)


def test_help_explains_every_setting() -> None:
    text = describe_settings(Settings)
    assert "WEIR_PASSWORD (required)" in text
    assert "Opens the door." in text
    assert "WEIR_LOG_LEVEL (default: info)" in text


async def test_periodic_action_goes_on_after_a_failure() -> None:
    runs = 0

    async def action() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("once")

    running = asyncio.create_task(every(0.001, action))
    await until(lambda: runs > 2)
    running.cancel()


@pytest.fixture(autouse=True)
def _restore_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()

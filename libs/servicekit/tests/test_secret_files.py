"""Settings whose values are files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from servicekit.settings import EventSettings, TelemetrySettings
from servicekit.startup import run_service


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIR_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_setting_is_read_from_its_file_without_the_line_end(folder: Path) -> None:
    (folder / "weir_events_redis_url").write_text("redis://:secret@events:6379/0\n")

    url = EventSettings().events_redis_url.get_secret_value()

    assert url == "redis://:secret@events:6379/0"


def test_the_environment_goes_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "weir_log_level").write_text("error")
    monkeypatch.setenv("WEIR_LOG_LEVEL", "debug")

    assert TelemetrySettings().log_level == "debug"


def test_a_folder_that_is_not_there_keeps_a_service_from_starting_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEIR_SECRETS_DIR", str(folder / "none"))

    async def serve(_: TelemetrySettings) -> None:
        raise AssertionError

    assert run_service("test", TelemetrySettings, serve) == 1
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["event"] == "cannot_start"
    assert line["reason"] == f"WEIR_SECRETS_DIR: {folder / 'none'} is no directory"


@pytest.fixture(autouse=True)
def _restore_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()

"""The command as its user meets it: real stores, stand-in services."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Eventually, Platform

NAMES = [
    *("events-redis", "quota-redis", "postgres"),
    *("inference", "prediction_log", "drift", "gateway"),
]


def test_says_where_it_is_ready_and_keeps_the_client_private(new_platform: Platform) -> None:
    new_platform.start_ready()

    assert f"weir is ready at http://127.0.0.1:{new_platform.port}" in new_platform.text
    client = json.loads((new_platform.home / "client.json").read_text())
    assert client == {
        "client_id": "demo",
        "client_secret": "s3cret",
        "token_url": f"http://127.0.0.1:{new_platform.port}/oauth2/token",
    }
    assert (new_platform.home / "client.json").stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in new_platform.text
    assert "migrated postgresql+asyncpg://" in new_platform.log("migrations")
    assert json.loads((new_platform.home / "endpoints.json").read_text()).keys() == {
        *("http", "inference", "prediction_log", "drift"),
        *("events_redis", "quota_redis", "postgres", "postgres_service"),
    }


def test_ctrl_c_stops_the_gateway_first_and_leaves_nothing(platform: Platform) -> None:
    platform.start_ready()
    children = platform.children()

    assert platform.stop(signal.SIGINT) == 0

    assert not platform.alive(children)
    assert not list(platform.home.rglob("*.sock"))
    assert not (platform.home / "run" / "processes.json").exists()
    stopped_at = {
        name: (platform.home / "logs" / f"{name}.log").stat().st_mtime_ns
        for name in ("gateway", "inference", "postgres")
    }
    order = sorted(stopped_at, key=lambda name: stopped_at[name])
    assert order == ["gateway", "inference", "postgres"]
    assert "database system is shut down" in platform.log("postgres")


def test_second_start_keeps_client_and_data_and_follows_the_port(platform: Platform) -> None:
    platform.start_ready()
    platform.stop()
    made = (platform.home / "identity" / "signing-keys" / "key.pem").stat().st_mtime_ns
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        platform.port = other.getsockname()[1]
    platform.output.unlink()

    platform.start_ready()

    assert (platform.home / "identity" / "signing-keys" / "key.pem").stat().st_mtime_ns == made
    client = json.loads((platform.home / "client.json").read_text())
    assert client["token_url"] == f"http://127.0.0.1:{platform.port}/oauth2/token"
    assert "setting up" not in platform.text


@pytest.mark.parametrize("name", ["inference", "events-redis", "postgres", "gateway"])
def test_a_part_that_is_killed_comes_back(
    platform: Platform, eventually: Eventually, name: str
) -> None:
    platform.start_ready()
    before = platform.entry(name)["pid"]

    os.kill(before, signal.SIGKILL)

    eventually(lambda: platform.entry(name)["restarts"] == 1 and platform.entry(name)["ready"])
    assert platform.entry(name)["pid"] != before
    assert f"{name} was ended by SIGKILL; starting it again" in platform.text
    eventually(lambda: f"{name} is back" in platform.text)
    assert [entry["name"] for entry in platform.state["processes"] if entry["ready"]] == NAMES


def test_port_in_use_is_said_in_one_line_before_anything_starts(new_platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        new_platform.port = taken.getsockname()[1]

        assert new_platform.run() == 1

    assert new_platform.text == (
        f"weir: port {new_platform.port} is in use: set WEIR_PORT to another one\n"
    )
    assert not (new_platform.home / "postgres").exists()


def test_second_platform_in_the_same_home_is_refused(platform: Platform) -> None:
    platform.start_ready()
    first, text = platform.process, platform.text

    assert platform.run() == 1

    assert platform.text.removeprefix(text) == (
        f"weir: already running in {platform.home}: stop it, or set WEIR_HOME\n"
    )
    platform.process = first
    assert all(entry["running"] for entry in platform.state["processes"])


def test_home_that_cannot_be_made_is_said_in_one_line(new_platform: Platform) -> None:
    new_platform.models.joinpath("file").touch()
    new_platform.home = new_platform.models / "file" / "home"

    assert new_platform.run() == 1

    assert new_platform.text.startswith(f"weir: {new_platform.home}")
    assert new_platform.text.count("\n") == 1


def test_model_repository_that_is_missing_is_said_in_one_line(new_platform: Platform) -> None:
    new_platform.models.rmdir()

    assert new_platform.run() == 1

    assert new_platform.text == (
        f"weir: no model repository at {new_platform.models}: set WEIR_MODEL_REPOSITORY\n"
    )


def test_ctrl_c_during_the_start_leaves_nothing(
    new_platform: Platform, eventually: Eventually
) -> None:
    process = new_platform.start()
    eventually(lambda: (new_platform.home / "run" / "processes.json").exists())
    children = new_platform.children()
    assert children

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 0
    assert not new_platform.alive(children)
    assert "weir is ready" not in new_platform.text


def test_second_ctrl_c_ends_what_does_not_listen(
    platform: Platform, eventually: Eventually
) -> None:
    platform.behave("inference", "deaf")
    platform.start_ready()
    children = platform.children()
    assert platform.process is not None
    platform.process.send_signal(signal.SIGINT)
    eventually(lambda: "gateway stops" in platform.log("gateway"))

    assert platform.stop(signal.SIGINT) == 130

    assert not platform.alive(children)
    assert "stopped by force" in platform.text


def test_end_of_the_terminal_stops_it_in_order(platform: Platform) -> None:
    platform.start_ready()
    children = platform.children()

    assert platform.stop(signal.SIGHUP) == 0

    assert not platform.alive(children)


def test_kill_9_leaves_no_process_and_no_obstacle(platform: Platform) -> None:
    platform.start_ready()
    children = platform.children()
    assert len(children) >= len(NAMES)

    assert platform.stop(signal.SIGKILL) == -signal.SIGKILL

    _, alive = psutil.wait_procs(children, timeout=10)
    if sys.platform == "linux":  # elsewhere the next start ends them
        assert not alive
    platform.output.unlink()
    platform.start_ready()


def test_what_a_crash_left_running_is_ended_at_the_next_start(platform: Platform) -> None:
    left = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run = platform.home / "run"
    run.mkdir(exist_ok=True)
    entry = {"name": "drift", "pid": left.pid, "started_at": left.create_time(), "ready": True}
    (run / "processes.json").write_text(
        json.dumps({"supervisor": {"pid": None, "started_at": None}, "processes": [entry]})
    )

    platform.start_ready()

    assert left.wait(5) == -signal.SIGTERM
    assert "drift was left by a platform that crashed; ended it" in platform.text


def test_lost_postmaster_mark_with_a_reused_process_id_is_no_obstacle(platform: Platform) -> None:
    platform.start_ready()
    mark = platform.home / "postgres" / "postmaster.pid"
    lines = mark.read_text().splitlines()
    platform.stop()
    mark.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    platform.output.unlink()

    platform.start_ready()

    assert "postgres ended" not in platform.text


def test_part_that_dies_at_every_start_ends_the_start_with_its_last_words(
    platform: Platform,
) -> None:
    platform.behave("drift", "dies")

    assert platform.run() == 1

    assert "weir: drift ended with exit code 3 at every start" in platform.text
    assert "the reason why" in platform.text
    assert not list(platform.home.rglob("*.sock"))


def test_deep_home_keeps_its_sockets_in_a_private_directory(new_platform: Platform) -> None:
    new_platform.home = new_platform.home / ("deep-" * 12) / ("deeper " * 12)

    new_platform.start_ready()

    endpoints = json.loads((new_platform.home / "endpoints.json").read_text())
    sockets = Path(endpoints["drift"].removeprefix("unix:")).parent
    assert not sockets.is_relative_to(new_platform.home)
    assert sockets.stat().st_mode & 0o766 == 0o700
    new_platform.stop()
    assert not sockets.exists()


def test_two_platforms_run_side_by_side(platform: Platform, second_platform: Platform) -> None:
    platform.start_ready()
    second_platform.start_ready()

    for running in (platform, second_platform):
        assert running.health() == "healthy"
        assert running.stop() == 0


def test_status_tells_what_runs(platform: Platform) -> None:
    platform.start_ready()
    running = platform.process
    platform.output.unlink()

    assert platform.run("status", "--json") == 0

    content = json.loads(platform.text)
    assert content["running"]
    assert [entry["name"] for entry in content["processes"]] == NAMES
    assert all(entry["running"] and entry["pid"] for entry in content["processes"])
    platform.process = running


def test_models_give_way_to_who_lets_requests_in_and_the_books_to_both(platform: Platform) -> None:
    platform.start_ready()

    niceness = {
        entry["name"]: os.getpriority(os.PRIO_PROCESS, entry["pid"])
        for entry in platform.state["processes"]
    }

    assert niceness["prediction_log"] == niceness["drift"] > niceness["inference"]
    assert niceness["inference"] > niceness["gateway"]


def test_status_without_a_platform_says_so(new_platform: Platform) -> None:
    assert new_platform.run("status") == 1

    assert new_platform.text == f"not running in {new_platform.home}\n"


def test_user_settings_reach_the_services(platform: Platform) -> None:
    platform.environment = {"WEIR_ISSUER": "https://weir.example", "WEIR_LOG_LEVEL": "debug"}

    platform.start_ready()

    environment = psutil.Process(platform.entry("drift")["pid"]).environ()
    assert environment["WEIR_ISSUER"] == "https://weir.example"
    assert environment["WEIR_LOG_LEVEL"] == "debug"
    assert environment["WEIR_TRACE_FILE"] == str(platform.home / "traces.jsonl")
    assert "127.0.0.1" in environment["no_proxy"]


def test_collector_of_the_user_takes_the_spans_instead_of_the_file(platform: Platform) -> None:
    platform.environment = {"WEIR_OTLP_ENDPOINT": "127.0.0.1:4317"}

    platform.start_ready()

    environment = psutil.Process(platform.entry("drift")["pid"]).environ()
    assert environment["WEIR_OTLP_ENDPOINT"] == "127.0.0.1:4317"
    assert "WEIR_TRACE_FILE" not in environment


def test_reader_of_the_output_that_goes_away_changes_nothing(platform: Platform) -> None:
    platform.start_ready_into_a_pipe()
    children = platform.children()

    assert platform.stop() == 0

    assert not platform.alive(children)

"""The gateway as a process: its start, its stop, and a real connection to it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.__main__ import main


@pytest.fixture
def environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    main(["rotate-signing-key", "--directory", str(tmp_path / "signing-keys")])
    files = ["--clients-file", str(tmp_path / "clients.yaml")]
    files += ["--pepper-file", str(tmp_path / "pepper")]
    who = ["--client-id", "shop", "--tenant", "acme", "--scope", "models:predict"]
    capsys.readouterr()
    main(["create-client", *files, *who])
    (tmp_path / "client.json").write_text(capsys.readouterr().out)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
    return inherited | {
        "WEIR_HTTP_PORT": "0",
        "WEIR_SIGNING_KEYS_DIR": str(tmp_path / "signing-keys"),
        "WEIR_CLIENTS_FILE": str(tmp_path / "clients.yaml"),
        "WEIR_PEPPER_FILE": str(tmp_path / "pepper"),
        "WEIR_QUOTA_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "WEIR_EVENTS_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "WEIR_INFERENCE_TARGET": f"unix:{tmp_path}/nobody.sock",
        "WEIR_PREDICTION_LOG_TARGET": f"unix:{tmp_path}/nobody.sock",
        "WEIR_DRIFT_TARGET": f"unix:{tmp_path}/nobody.sock",
    }


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process and its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "http_listening":
                yield process, f"http://{event['address']}"
                break
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def failed_start(environment: dict[str, str]) -> dict[str, Any]:
    """Starts in vain; returns the one line that says why."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    error: dict[str, Any] = json.loads(line)
    assert error["level"] == "error"
    return error


def test_serves_without_anything_behind_it_and_stops_at_sigterm(
    environment: dict[str, str], tmp_path: Path
) -> None:
    credentials = json.loads((tmp_path / "client.json").read_text())
    with running(environment) as (process, url), httpx.Client(base_url=url, timeout=60) as http:
        token = http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(credentials["client_id"], credentials["client_secret"]),
        )
        assert token.status_code == 200
        assert "server" not in token.headers
        bearer = {"authorization": f"Bearer {token.json()['access_token']}"}
        assert http.post("/predict", json={"text": "x"}, headers=bearer).status_code == 503
        assert http.get("/health").json()["status"] == "unhealthy"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_raw_nonsense_on_the_wire_does_no_harm(environment: dict[str, str]) -> None:
    with running(environment) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        for sent in (
            b"\x16\x03\x01\x00\xa5nonsense\r\n\r\n",
            b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/predictions/%ff%00 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 200_000 + b"\r\n\r\n",
        ):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                first = connection.recv(64)
                assert first == b"" or first.startswith(b"HTTP/1.1 4")
        assert httpx.get(f"{url}/health/live").status_code == 200


def test_address_in_use_is_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        event = failed_start(environment | {"WEIR_HTTP_PORT": str(port)})
    assert f"127.0.0.1:{port}" in event["reason"]


def test_missing_setting_is_one_line(environment: dict[str, str]) -> None:
    del environment["WEIR_SIGNING_KEYS_DIR"]
    assert "signing_keys_dir" in failed_start(environment)["faults"]


def test_wrong_clients_file_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text("clients: [{client_id: shop}]")
    assert "clients.0" in failed_start(environment)["reason"]


def test_certificate_without_its_key_is_one_line(environment: dict[str, str]) -> None:
    event = failed_start(environment | {"WEIR_TLS_CERTIFICATE_FILE": "/nowhere/tls.crt"})
    assert "go together" in event["reason"]


def test_proxy_that_is_no_address_is_one_line(environment: dict[str, str]) -> None:
    event = failed_start(environment | {"WEIR_TRUSTED_PROXIES": "proxy.example"})
    assert "proxy.example" in event["faults"]["trusted_proxies"]


def test_broken_file_of_trusted_issuers_is_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "issuers.yaml").write_text("issuers: 1")
    setting = {"WEIR_TRUSTED_ISSUERS_FILE": str(tmp_path / "issuers.yaml")}
    assert "issuers" in failed_start(environment | setting)["reason"]


def test_wrong_redis_url_is_one_line(environment: dict[str, str]) -> None:
    event = failed_start(environment | {"WEIR_QUOTA_REDIS_URL": "http://user:hunter2@x"})
    assert "hunter2" not in str(event)

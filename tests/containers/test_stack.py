"""The stack of docker-compose.yml, run."""

import hashlib
import json

import httpx
import pytest

from containers.images import base_image, docker
from containers.stack import Stack
from testkit.platform import wait_until

SERVICES = ("gateway", "inference", "prediction-log", "drift")
STORES = ("postgres", "redis-events", "redis-quota")
TEXT = "What a wonderful, moving film."

pytestmark = pytest.mark.timeout(1800)


def predict(api: httpx.Client, text: str = TEXT) -> dict[str, object]:
    answer = api.post("/predict", json={"text": text})
    assert answer.status_code == 200, answer.text
    prediction: dict[str, object] = answer.json()
    return prediction


def wait_for_row(api: httpx.Client, prediction: dict[str, object]) -> dict[str, object]:
    path = f"/v1/predictions/{prediction['prediction_id']}"
    wait_until(lambda: api.get(path).status_code == 200, path)
    row: dict[str, object] = api.get(path).json()
    return row


def kill(pid: int) -> None:
    """Kills a process of the daemon's machine, as a crash does; `docker kill` keeps it down."""
    program = f"import os; os.kill({pid}, 9)"
    rights = ("--cap-drop", "ALL", "--cap-add", "KILL", "--user", "0", "--pid", "host")
    docker("run", "--rm", *rights, base_image(), "python", "-c", program)


def test_everything_is_healthy_and_the_migrations_are_done(stack: Stack) -> None:
    states = stack.states()

    assert states.pop("migrations") == "exited"
    assert states == dict.fromkeys((*SERVICES, *STORES), "healthy")


def test_a_token_comes_over_tls_alone(stack: Stack) -> None:
    assert stack.token().count(".") == 2
    with pytest.raises(httpx.HTTPError):
        httpx.get(stack.address.replace("https", "http") + "/health/live")


def test_a_prediction_over_tls_is_right_and_becomes_a_row(stack: Stack) -> None:
    with stack.client() as api:
        prediction = predict(api)
        row = wait_for_row(api, prediction)

    assert prediction["predicted_sentiment"] == row["label"] == "positive"
    assert row["input_sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()


def test_the_drift_report_holds_the_predictions(stack: Stack) -> None:
    path = "/v1/drift/models/sentiment/reports/latest"
    with stack.client() as api:
        texts = [f"A pleasant surprise, part {number}." for number in range(40)]
        api.post("/predict/batch", json={"texts": texts}).raise_for_status()
        wait_until(lambda: api.get(path).json()["window"]["rows"] >= 40, "window", within=30.0)


def test_no_container_runs_as_root_or_can_write_its_image(stack: Stack) -> None:
    for service, container in stack.containers().items():
        if container["State"]["Running"]:
            ids = docker("exec", container["Id"], "cat", "/proc/self/status")
            uid = next(line.split()[1] for line in ids.splitlines() if line.startswith("Uid:"))
            assert int(uid) > 0, service
        settings = container["HostConfig"]
        assert settings["ReadonlyRootfs"], service
        assert settings["CapDrop"] == ["ALL"], service
        assert not settings["CapAdd"], service
        assert not settings["Privileged"], service
        assert "no-new-privileges:true" in settings["SecurityOpt"], service
        assert settings["Memory"] > 0, service
        assert settings["NanoCpus"] > 0, service
        assert settings["PidsLimit"] > 0, service


def test_no_secret_is_in_what_docker_tells_of_containers_and_images(stack: Stack) -> None:
    containers = stack.containers()
    told = json.dumps(containers)
    for image in {container["Config"]["Image"] for container in containers.values()}:
        told += docker("history", "--no-trunc", image)

    assert len(stack.secrets()) >= 15
    assert not [secret for secret in stack.secrets() if secret in told]


def test_no_secret_is_in_the_logs(stack: Stack) -> None:
    logs = stack.compose("logs", "--no-color").stdout

    assert '"event": "grpc_listening"' in logs
    assert not [secret for secret in stack.secrets() if secret in logs]


def test_the_gateway_alone_is_reached_from_outside_and_no_store_is_on_its_public_side(
    stack: Stack,
) -> None:
    containers = stack.containers()
    published = {name for name, each in containers.items() if each["HostConfig"]["PortBindings"]}
    networks = {
        name: {network.rpartition("_")[2] for network in each["NetworkSettings"]["Networks"]}
        for name, each in containers.items()
    }

    assert published == {"gateway"}
    assert [name for name, joined in networks.items() if "public" in joined] == ["gateway"]
    assert {name for name, joined in networks.items() if "database" in joined} == {
        *("postgres", "prediction-log", "migrations"),
    }


def test_postgres_lets_nobody_in_without_a_password(stack: Stack) -> None:
    program = (
        "import asyncio, asyncpg\n"
        "try:\n"
        "    asyncio.run(asyncpg.connect('postgresql://weir_owner@postgres/weir'))\n"
        "except asyncpg.InvalidPasswordError: print('refused')\n"
    )
    log = stack.containers()["prediction-log"]["Id"]

    assert docker("exec", log, "python", "-c", program).strip() == "refused"


@pytest.mark.parametrize("service", [*SERVICES, *STORES])
def test_a_killed_container_comes_back_and_what_was_kept_is_there(
    stack: Stack, service: str
) -> None:
    with stack.client() as api:
        before = predict(api)
        wait_for_row(api, before)
        container = stack.containers()[service]
        kill(container["State"]["Pid"])

        wait_until(
            lambda: stack.containers()[service]["RestartCount"] > container["RestartCount"],
            f"{service} restarted",
        )
        wait_until(stack.is_healthy, f"healthy after {service}", within=120.0)
        assert wait_for_row(api, before)["label"] == "positive"
        assert wait_for_row(api, predict(api))["label"] == "positive"


def test_the_stack_drains_at_a_stop_and_goes_on_after_a_start(stack: Stack) -> None:
    with stack.client() as api:
        before = predict(api)
    assert stack.compose("stop").returncode == 0
    stopped = stack.containers()
    assert {name: each["State"]["ExitCode"] for name, each in stopped.items()} == dict.fromkeys(
        stopped, 0
    )
    logs = stack.compose("logs", "--no-color", "--tail", "20", *SERVICES).stdout
    assert logs.count('"event": "stop_requested"') >= len(SERVICES)
    assert not [line for line in logs.splitlines() if '"level": "error"' in line]

    stack.up()
    with stack.client() as api:
        assert wait_for_row(api, before)["label"] == "positive"

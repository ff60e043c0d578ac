"""Stock clients of the Open Inference Protocol and what their own examples do, on a platform.

Each flow is a program that runs where only those clients are installed; it ends with 0 when all
that it checks holds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.platform import Platform, running_platform
from testkit.tiny_model import write_tiny_package
from weir.oip.v2 import open_inference_pb2

from .example_models import write_example_models

REPOSITORY = Path(__file__).resolve().parents[2]
FLOWS = Path(__file__).parent / "flows"


@pytest.fixture(scope="module")
def clients() -> Path:
    """Python of the environment that holds them, made if it is not there yet."""
    script = REPOSITORY / "requirements" / "environments.py"
    subprocess.run([sys.executable, script, "sync", "oip-clients"], check=True, timeout=600)
    return REPOSITORY / ".venvs" / "oip-clients" / "bin" / "python"


@pytest.fixture(scope="module")
def oip_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    models = tmp_path_factory.mktemp("models")
    write_tiny_package(models)
    write_example_models(models)
    settings = {"WEIR_MODEL_CONTROL": "explicit", "WEIR_DEFAULT_MODEL": "sentiment"}
    with running_platform(tmp_path_factory.mktemp("oip"), models, settings) as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("flow", ["triton_http", "triton_grpc", "kserve_rest", "kserve_grpc"])
def test_stock_client_is_served(
    clients: Path, oip_platform: Platform, tmp_path: Path, flow: str
) -> None:
    contract = tmp_path / "contract"
    contract.write_bytes(open_inference_pb2.DESCRIPTOR.serialized_pb)
    environment = {
        **os.environ,
        "WEIR_TOKEN": oip_platform.token(),
        "WEIR_HTTP": oip_platform.endpoints.http,
        "WEIR_GRPC": oip_platform.endpoints.inference,
        "WEIR_CONTRACT": str(contract),
    }
    done = subprocess.run(
        [clients, FLOWS / f"{flow}.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_they_asked_is_on_record(oip_platform: Platform) -> None:
    with oip_platform.client() as api:
        page = api.get("/v1/predictions", params={"limit": 100}).raise_for_status().json()
        assert {each["model"] for each in page["predictions"]} >= {"simple", "sentiment"}
        assert {each["client_id"] for each in page["predictions"]} == {"demo"}

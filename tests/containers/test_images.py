"""What the images are, seen from outside."""

import json
import subprocess
from pathlib import Path

import pytest

from containers.images import DOCKER, REPOSITORY, SERVICES, base_image, docker, image_of, inspect

MEGABYTE = 1_000_000
LARGEST = {"gateway": 100, "inference": 200, "prediction-log": 165, "drift": 150}
"""Megabytes over the base."""

pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.timeout(1800)]


def in_image(service: str, program: str) -> str:
    """What a Python program prints that runs in an image as a container would."""
    hardened = ("--read-only", "--cap-drop", "ALL", "--network", "none", "--tmpfs", "/tmp")
    return docker(
        "run", "--rm", *hardened, "--entrypoint", "python", image_of(service), "-c", program
    )


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_little_more_than_its_base(service: str) -> None:
    own, base = (each["Size"] for each in inspect(image_of(service), base_image()))
    over = (own - base) / MEGABYTE
    print(f"{service}: {over:.1f} MB over the base's {base / MEGABYTE:.1f} MB")

    assert over <= LARGEST[service]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_one_program_as_nobody(service: str) -> None:
    config = inspect(image_of(service))[0]["Config"]
    user, _, group = config["User"].partition(":")

    assert config["Entrypoint"] == ["python", "-m", service.replace("-", "_")]
    assert config["Cmd"] == ["serve"]
    assert int(user) > 0
    assert int(group) > 0
    assert config["Healthcheck"]["Test"][:4] == ["CMD", "python", "-m", "servicekit.health_command"]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is(service: str) -> None:
    labels = inspect(image_of(service))[0]["Config"]["Labels"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()
    told = {name.rpartition(".")[2]: value for name, value in labels.items()}

    assert told["version"] == image_of(service).rpartition(":")[2]
    assert told["revision"].removesuffix("-dirty") == commit
    assert told["source"] == "https://example.com/weir"
    assert told["licenses"] == "Apache-2.0"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_service_and_nothing_to_build_with(service: str) -> None:
    own = service.replace("-", "_")
    others = [each.replace("-", "_") for each in SERVICES if each != service]
    program = f"""
import importlib, importlib.util as found, json, shutil, sys, sysconfig
from pathlib import Path
packages = Path(sysconfig.get_path("purelib"))
importlib.import_module("{own}.__main__")
if found.find_spec("{own}.assembly"):
    importlib.import_module("{own}.assembly")
sources = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(json.dumps(dict(
    others=[name for name in {others} if found.find_spec(name)],
    tools=[name for name in ("uv", "gcc", "make", "git") if shutil.which(name)],
    builders=[name for name in ("pip", "setuptools", "uv") if (packages / name).exists()],
    tests=[str(path) for path in packages.rglob("tests") if path.is_dir()],
    uncompiled=[path for path in sources
                if path.endswith(".py") and not Path(found.cache_from_source(path)).exists()],
)))
"""

    found = json.loads(in_image(service, program))

    assert not any(found.values()), found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_settings_says_why_in_one_line(service: str) -> None:
    command = [DOCKER, "run", "--rm", "--read-only", "--network", "none"]
    settings = ["--env", "WEIR_SECRETS_DIR=/nowhere"]
    done = subprocess.run([*command, *settings, image_of(service)], capture_output=True, text=True)

    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    assert json.loads(line)["reason"] == "WEIR_SECRETS_DIR: /nowhere is no directory"


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_of_the_builds_index_is_in_an_image(service: str) -> None:
    history = docker("history", "--no-trunc", "--format", "{{json .}}", image_of(service))
    environment = "\n".join(inspect(image_of(service))[0]["Config"]["Env"])

    for told in ("INDEX_URL=", "FIND_LINKS=", "DEFAULT_INDEX=", "_PROXY=", str(Path.home())):
        assert told not in history + environment


def test_inference_and_drift_bring_the_models_that_they_serve() -> None:
    program = "import pathlib; print(*sorted(p.name for p in pathlib.Path('/models').rglob('*.*')))"

    assert "model.onnx" in in_image("inference", program).split()
    assert "reference.json" in in_image("drift", program).split()
    assert "model.onnx" not in in_image("drift", program).split()

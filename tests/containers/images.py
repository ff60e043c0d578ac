"""The images that the tests build and run, and what Docker knows of them."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "inference", "prediction-log", "drift")
STAND_INS = {
    "BASE_IMAGE": "weir-test/python:bookworm",
    "BUILD_IMAGE": "weir-test/python-build:bookworm",
    "POSTGRES_IMAGE": "weir-test/postgres:bookworm",
    "REDIS_IMAGE": "weir-test/redis:bookworm",
}
"""Instead of a registry's, where WEIR_TEST_STAND_INS is set."""
DOCKER = os.environ.get("DOCKER", "docker")
_VERSION = "0.0.0-test"


class DockerMissing(Exception):
    """There is no Docker to test with; the message says what to do."""


def require_docker() -> None:
    """Makes sure that there is a Docker daemon.

    Raises:
        DockerMissing: there is none.
    """
    advice = (
        "these tests need a Docker daemon: start one, or as root run "
        "`tests/containers/daemon start` and set what it says"
    )
    try:
        done = subprocess.run([DOCKER, "info"], capture_output=True, text=True)
    except FileNotFoundError:
        raise DockerMissing(f"{DOCKER} is not installed: {advice}") from None
    if done.returncode != 0:
        raise DockerMissing(f"{done.stderr.strip().splitlines()[-1]}: {advice}")


def docker(*arguments: str) -> str:
    """Runs docker and returns what it prints."""
    done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(*names: str) -> list[dict[str, Any]]:
    """What Docker knows of images or containers."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return found


def build_environment() -> dict[str, str]:
    """The variables that images are built and run with."""
    stand_ins: Mapping[str, str] = STAND_INS if os.environ.get("WEIR_TEST_STAND_INS") else {}
    return {
        **os.environ,
        **stand_ins,
        "VERSION": _VERSION,
        "WEIR_VERSION": _VERSION,
        "SOURCE": "https://example.com/weir",
    }


def make_images() -> None:
    """Builds the services' images, and the stand-ins where they are asked for."""
    if os.environ.get("WEIR_TEST_STAND_INS"):
        subprocess.run([REPOSITORY / "tests/containers/stand_ins/make"], check=True)
    program = REPOSITORY / "deploy/docker/build_images.py"
    subprocess.run(["python3", program], env=build_environment(), check=True)


def image_of(service: str) -> str:
    """The name of a service's image under test."""
    return f"weir/{service}:{_VERSION}"


def base_image() -> str:
    """What the services' images are made on."""
    given = build_environment().get("BASE_IMAGE")
    if given:
        return given
    first = REPOSITORY.joinpath("deploy/docker/Dockerfile").read_text().partition("ARG BASE_IMAGE=")
    return first[2].split()[0]

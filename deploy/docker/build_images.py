#!/usr/bin/env python3
"""Builds the services' images.

    deploy/docker/build_images.py            gateway, inference, prediction-log and drift
    deploy/docker/build_images.py training   the one that trains, with torch

It needs Python and a Docker with BuildKit. How packages are fetched it takes from the environment
and from pip's configuration, as `make run` does; no image and no layer learns of it. Variables:

    BASE_IMAGE      what the images are made on (the Dockerfile says which by default)
    BUILD_IMAGE     the same with pip, where that has none
    IMAGES          first part of the images' names; weir/ by default
    VERSION         tag and label; the project's own by default
    SOURCE          label: where the source is
    BUILD_NETWORK   network of the build, for `docker build --network`
    DOCKER          the docker command
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVED = ("gateway", "inference", "prediction_log", "drift")
DOCKER = os.environ.get("DOCKER", "docker")


def main() -> int:
    """Builds what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*SERVED, "training"]
    parser.add_argument("services", nargs="*", metavar="service", help=f"of: {', '.join(names)}")
    services = [name.replace("-", "_") for name in parser.parse_args().services] or SERVED
    if unknown := set(services) - set(names):
        parser.error(f"no service {', '.join(unknown)}; there are {', '.join(names)}")
    with _secrets() as secrets:
        for service in services:
            began = time.monotonic()
            name = image_of(service)
            if (code := _build(service, name, secrets)) != 0:
                return code
            print(f"built {name} in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def image_of(service: str) -> str:
    """The name of a service's image, with its tag."""
    return f"{os.environ.get('IMAGES', 'weir/')}{service.replace('_', '-')}:{version()}"


def version() -> str:
    """What the images are tagged with."""
    if given := os.environ.get("VERSION"):
        return given
    project = tomllib.loads((ROOT / "services/gateway/pyproject.toml").read_text())
    return str(project["project"]["version"])


def _build(service: str, name: str, secrets: Mapping[str, Path]) -> int:
    arguments = {
        "SERVICE": service,
        "VERSION": version(),
        "REVISION": _revision(),
        **{
            each: os.environ[each]
            for each in ("BASE_IMAGE", "BUILD_IMAGE", "SOURCE")
            if os.environ.get(each)
        },
    }
    command = [DOCKER, "build", "--file", "deploy/docker/Dockerfile", "--tag", name]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    for key, file in secrets.items():
        command += ["--secret", f"id={key},src={file}"]
    if network := os.environ.get("BUILD_NETWORK"):
        command += ["--network", network]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    done = subprocess.run(
        [*command, "."], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout.decode(errors="replace"))
    return done.returncode


def _revision() -> str:
    """The commit, marked where the working copy differs from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude", "*", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or "unknown"


@contextmanager
def _secrets() -> Iterator[dict[str, Path]]:
    """Files with what a build may know and an image may not."""
    command = [sys.executable, "requirements/environments.py", "index"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = told.splitlines()
    with tempfile.TemporaryDirectory() as directory:
        secrets = {}
        if index := [line for line in lines if not line.startswith("SSL_CERT_FILE=")]:
            secrets["index"] = Path(directory) / "index"
            secrets["index"].write_text("".join(f"{line}\n" for line in index))
        authorities = [line for line in lines if line.startswith("SSL_CERT_FILE=")]
        if authorities:
            secrets["authorities"] = Path(authorities[0].partition("=")[2].strip("'"))
        yield secrets


if __name__ == "__main__":
    sys.exit(main())

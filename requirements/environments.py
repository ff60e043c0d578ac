#!/usr/bin/env python3
"""Makes the virtual environments from the locked sets, and locks the sets.

    environments.py sync run dev gateway ...   make or refresh environments; prints nothing when
                                               all is as it should be
    environments.py lock                       resolve every set anew
    environments.py index                      tell how packages are fetched, for builds of images

It runs before anything is installed: with Python alone, 3.11 or newer. uv is fetched by pip into
.venv-uv, from a locked file; the system is not touched.
"""

import argparse
import compileall
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
UV_HOME = ROOT / ".venv-uv"
OLDEST_PYTHON = "3.11"
# Not the activated environment's, which has no pip and may be the one that is made anew.
INTERPRETER = getattr(sys, "_base_executable", None) or sys.executable

CONTRACTS, SERVICEKIT, TESTKIT = "libs/contracts", "libs/servicekit", "libs/testkit"
# What training, inference and drift measure alike.
MEASURES = "libs/measures"
LOCAL = "deploy/local"
SERVICES = ("gateway", "inference", "prediction_log", "drift")
SERVICE_PATHS = tuple(f"services/{name}" for name in SERVICES)
# Other servers that `make bench-peers` compares with; nothing else installs them.
PEERS = ("litserve", "bentoml", "mlserver")
# Drift tools that `make bench BENCH=drift_quality` compares with; nothing else installs them.
DRIFT_PEERS = ("evidently", "nannyml")
# Others' clients that tests run against Weir, in an environment that tests make when they need it.
OIP_CLIENTS = "oip-clients"
# Programs that `make verify-deploy` checks with; checkov would hold the others back.
DEPLOY_TOOLS = ("deploy", "checkov")


@dataclass(frozen=True)
class Environment:
    """A virtual environment: locked sets and, above them, distributions of this repository."""

    path: str
    sets: tuple[str, ...]
    distributions: tuple[str, ...]
    torch: bool = False


def _tests_of(name: str, *libs: str) -> Environment:
    """Holds what the service declares and the testkit, so that nothing undeclared is imported."""
    own = (f"services/{name}", CONTRACTS, SERVICEKIT, *libs, TESTKIT, LOCAL)
    return Environment(f".venvs/{name}", (name, "testing"), own)


ENVIRONMENTS: Mapping[str, Environment] = {
    "run": Environment(
        ".venv", ("local",), (CONTRACTS, SERVICEKIT, MEASURES, LOCAL, *SERVICE_PATHS)
    ),
    "dev": Environment(
        ".venv", ("dev",), (CONTRACTS, SERVICEKIT, MEASURES, TESTKIT, LOCAL, *SERVICE_PATHS)
    ),
    **{name: _tests_of(name) for name in ("gateway", "prediction_log")},
    **{name: _tests_of(name, MEASURES) for name in ("inference", "drift")},
    "training": Environment(
        ".venvs/training",
        ("training", "testing"),
        ("services/training", MEASURES, TESTKIT, LOCAL),
        torch=True,
    ),
    **{
        f"peer-{name}": Environment(f".venvs/peer-{name}", (f"peer-{name}",), ())
        for name in (*PEERS, *DRIFT_PEERS)
    },
    **{name: Environment(f".venvs/{name}", (name,), ()) for name in (OIP_CLIENTS, *DEPLOY_TOOLS)},
}

# What each locked set is made of. The first one is resolved alone, the others agree with it.
LOCKED_SETS: Mapping[str, Sequence[str]] = {
    "dev": [
        *(f"{path}/pyproject.toml" for path in (*SERVICE_PATHS, LOCAL, TESTKIT)),
        "requirements/tools.in",
    ],
    "local": [f"{path}/pyproject.toml" for path in (*SERVICE_PATHS, LOCAL)],
    "testing": [f"{TESTKIT}/pyproject.toml"],
    **{name: [f"services/{name}/pyproject.toml"] for name in SERVICES},
    # With the extra for object stores and the server that its tests need.
    "training": [
        *("services/training/pyproject.toml", "--extra", "s3"),
        *("--group", "services/training/pyproject.toml:test"),
    ],
    **{f"peer-{name}": [f"requirements/peer-{name}.in"] for name in (*PEERS, *DRIFT_PEERS)},
    **{name: [f"requirements/{name}.in"] for name in (OIP_CLIENTS, *DEPLOY_TOOLS)},
}
# What a peer runs the model with is what Weir runs it with; the rest is the peer's own choice.
_SHARED_WITH_PEERS = ("numpy", "onnxruntime", "tokenizers")
_CUDA = ("cuda-", "nvidia-", "triton")
_OWN_PACKAGES = (
    "weir-contracts",
    "weir-servicekit",
    "weir-measures",
    "weir-testkit",
    "weir-local",
    "weir-training",
    *(f"weir-{name.replace('_', '-')}" for name in SERVICES),
)


def sync(names: Sequence[str]) -> None:
    """Brings environments up to what is locked; does nothing where that is done."""
    for name in names:
        environment = ENVIRONMENTS[name]
        stamp = ROOT / environment.path / f".weir-{name}"
        state = _state_of(environment)
        if stamp.exists() and stamp.read_text() == state:
            continue
        began = time.monotonic()
        print(f"setting up {environment.path} ({name})", flush=True)
        _make(environment)
        stamp.write_text(state)
        print(f"set up {environment.path} in {time.monotonic() - began:.1f} s", flush=True)
    for path in sorted({path for name in names for path in ENVIRONMENTS[name].distributions}):
        # As what is installed is, and for its reason. What is compiled already is only looked at.
        compileall.compile_dir(ROOT / path / "src", quiet=2)


def _make(environment: Environment) -> None:
    python = ROOT / environment.path / "bin" / "python"
    if not _works(python):
        uv("venv", "--quiet", "--clear", "--python", INTERPRETER, environment.path)
    target = ("--quiet", "--python", str(python))
    files = [argument for name in environment.sets for argument in ("-r", _set_file(name))]
    # Nothing is resolved here: a set holds all that it needs.
    # Compiled now, every start is seconds shorter, also where Python may not write caches itself.
    locked = ("--compile-bytecode", "--no-deps", "--require-hashes")
    uv("pip", "install", *target, *locked, *files)
    if environment.torch:
        # By version: its CPU build comes from different places, each with its own hash. What it
        # needs is in the locked set already.
        uv("pip", "install", *target, "--no-deps", *_cpu_only(), "-r", _set_file("torch"))
    if environment.distributions:
        editable = [argument for path in environment.distributions for argument in ("-e", path)]
        uv("pip", "install", *target, "--no-deps", *editable)
    uv("pip", "check", *target)


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    return done.stdout.strip() == f"{sys.version_info.major}.{sys.version_info.minor}"


def _state_of(environment: Environment) -> str:
    """A digest of all that decides what an environment holds."""
    files = [_set_file(name) for name in environment.sets]
    files += [f"{path}/pyproject.toml" for path in environment.distributions]
    files += [_set_file("torch")] if environment.torch else []
    digest = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for file in files:
        digest.update(file.encode() + b"\0" + (ROOT / file).read_bytes())
    return digest.hexdigest()


def _set_file(name: str) -> str:
    return f"requirements/{name}.txt"


def lock() -> None:
    """Resolves every set for all platforms and Pythons; all but others' agree on versions."""
    for name, sources in LOCKED_SETS.items():
        print(f"locking {name}", flush=True)
        # Those who run no model of ours may have the versions that they like.
        alone = name in (
            *("dev", OIP_CLIENTS, *DEPLOY_TOOLS),
            *(f"peer-{peer}" for peer in DRIFT_PEERS),
        )
        constraint = [] if alone else ["--constraint", _constraints_of(name)]
        extra = []
        if name == "training":
            # torch is locked by version, and the CPU build needs nothing of CUDA.
            extra = ["--constraint", _set_file("torch"), "--no-emit-package", "torch", *_cpu_only()]
        uv(
            *("pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON),
            *("--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"),
            *(argument for own in _OWN_PACKAGES for argument in ("--no-emit-package", own)),
            *constraint,
            *extra,
            *("--output-file", _set_file(name), *sources),
        )
    _drop_cuda(ROOT / _set_file("training"))


def _constraints_of(name: str) -> str:
    """The file of versions that a set must agree with."""
    if not name.startswith("peer-"):
        return _set_file("dev")
    pinned = re.compile(rf"^(?:{'|'.join(_SHARED_WITH_PEERS)})==[^\\\n]*", re.MULTILINE)
    shared = pinned.findall((ROOT / _set_file("dev")).read_text())
    (ROOT / ".venvs").mkdir(exist_ok=True)
    file = ROOT / ".venvs" / "peer-constraints.txt"
    file.write_text("\n".join(shared) + "\n")
    return str(file)


def _drop_cuda(file: Path) -> None:
    """Takes out what only torch's CUDA build needs; uv resolves that one for Linux."""
    blocks = re.split(r"^(?=[a-z])", file.read_text(), flags=re.MULTILINE)
    file.write_text("".join(block for block in blocks if not block.startswith(_CUDA)))


def uv(*arguments: str) -> None:
    """Runs uv; ends the program when it fails, uv has said why."""
    done = subprocess.run([_uv_program(), *arguments], cwd=ROOT, env=_uv_environment(), check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def _uv_program() -> str:
    program = UV_HOME / "bin" / "uv"
    stamp = UV_HOME / ".weir-uv"
    locked = (REQUIREMENTS / "uv.txt").read_text()
    if stamp.exists() and stamp.read_text() == locked:
        return str(program)
    if _pip("--version").returncode != 0:
        if found := shutil.which("uv"):
            return found
        sys.exit("pip is missing: install your system's package for it (python3-pip) or uv")
    shutil.rmtree(UV_HOME, ignore_errors=True)
    fetched = _pip(
        *("install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location"),
        *("--target", str(UV_HOME), "--require-hashes", "-r", str(REQUIREMENTS / "uv.txt")),
    )
    if fetched.returncode != 0:
        sys.exit(f"cannot fetch uv:\n{fetched.stderr.strip()}")
    stamp.write_text(locked)
    return str(program)


def _uv_environment() -> dict[str, str]:
    """The environment for uv with what only pip was told: uv does not read pip's configuration."""
    environment = dict(os.environ)
    # An activated environment is not the one that we mean.
    environment.pop("VIRTUAL_ENV", None)
    for variable, option in (
        ("UV_FIND_LINKS", "find-links"),
        ("UV_DEFAULT_INDEX", "index-url"),
        ("SSL_CERT_FILE", "cert"),
    ):
        if variable not in environment and (value := _pip_option(option)):
            environment[variable] = value
    return environment


def index() -> None:
    """Prints, as shell variables, what the environment and pip's configuration say of the index.

    Folders of this machine are left out: whoever reads this is elsewhere.
    """
    environment = _uv_environment()
    for variable, shared in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_FIND_LINKS", "PIP_FIND_LINKS"),
    ):
        value = environment.get(variable, "")
        if "://" in value and not value.startswith("file:"):
            print(f"{variable}={shlex.quote(value)}")
            print(f"{shared}={shlex.quote(value.replace(',', ' '))}")
    if Path(authorities := environment.get("SSL_CERT_FILE", "")).is_file():
        print(f"SSL_CERT_FILE={shlex.quote(authorities)}")


def _cpu_only() -> list[str]:
    """How uv finds torch without CUDA: where the user says, else at the project's own index."""
    return [] if _uv_environment().get("UV_FIND_LINKS") else ["--torch-backend", "cpu"]


_pip_options: dict[str, str] = {}


def _pip_option(name: str) -> str:
    """What pip's environment or configuration says about an option, as uv takes it."""
    if not _pip_options:
        for line in _pip("config", "list").stdout.splitlines():
            key, _, value = line.partition("=")
            _pip_options.setdefault(key.rpartition(".")[2], value.strip().strip("'\""))
        _pip_options.setdefault("", "")
    found = os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or _pip_options.get(name, "")
    return ",".join(found.replace("\\n", " ").split()) if name == "find-links" else found


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INTERPRETER, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    syncing = commands.add_parser("sync", help="make or refresh environments")
    syncing.add_argument("names", nargs="+", choices=list(ENVIRONMENTS), metavar="name")
    commands.add_parser("lock", help="resolve every set anew")
    commands.add_parser("index", help="tell how packages are fetched")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if arguments.command == "sync":
        sync(arguments.names)
    elif arguments.command == "lock":
        lock()
    else:
        index()


if __name__ == "__main__":
    main()

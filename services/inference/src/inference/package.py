"""Reads a model package: its manifest, checked against the files that it names."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_CHUNK = 1 << 20


class PackageInvalid(Exception):
    """A package that must not serve, and what is wrong with it."""


class TextInputs(BaseModel):
    """What a text model takes."""

    kind: Literal["text"]
    max_characters: int = Field(gt=0)
    max_tokens: int = Field(gt=2)


class Manifest(BaseModel):
    """The part of `model.yaml` that serving needs."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    format: Literal[1]
    name: str = Field(min_length=1, max_length=100)
    version: str = Field(min_length=1, max_length=100)
    task: Literal["text-classification"]
    labels: tuple[str, ...] = Field(min_length=2)
    inputs: TextInputs
    golden_tolerance: float = Field(gt=0, lt=0.5)
    files: Mapping[str, str]


class Routing(BaseModel):
    """`routing.yaml`: which versions take which share of the traffic, in percent."""

    versions: dict[str, int] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class GoldenExample:
    """An input with the answer that it must give."""

    text: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package whose files are the ones that its manifest was written for."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str
    golden: tuple[GoldenExample, ...]


def read_package(directory: Path) -> ModelPackage:
    """Reads `model.yaml` and the golden examples, and checks the hash of every file.

    Raises:
        PackageInvalid: something is missing, malformed or not what the manifest says.
    """
    try:
        source = (directory / "model.yaml").read_bytes()
        manifest = Manifest.model_validate(yaml.safe_load(source))
        _check_hashes(directory, manifest)
        golden = _read_golden(directory / "golden.jsonl", manifest)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise PackageInvalid(f"{directory}: {_brief(error)}") from error
    if (manifest.name, manifest.version) != (directory.parent.name, directory.name):
        raise PackageInvalid(
            f"{directory}: the manifest names {manifest.name} version {manifest.version}"
        )
    return ModelPackage(directory, manifest, hashlib.sha256(source).hexdigest(), golden)


def read_routing(model_directory: Path) -> Routing:
    """Reads `routing.yaml` of a model.

    Raises:
        PackageInvalid: it is missing or malformed, or its shares are not percentages of a whole.
    """
    path = model_directory / "routing.yaml"
    try:
        content: Any = yaml.safe_load(path.read_bytes())
        routing = Routing.model_validate(content)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PackageInvalid(f"{path}: {_brief(error)}") from error
    if min(routing.versions.values()) < 0 or sum(routing.versions.values()) != 100:
        raise PackageInvalid(f"{path}: the versions' shares must add up to 100")
    return routing


def _check_hashes(directory: Path, manifest: Manifest) -> None:
    missing = {"model.onnx", "tokenizer.json", "golden.jsonl"} - manifest.files.keys()
    if missing:
        raise ValueError(f"the manifest names no {', '.join(sorted(missing))}")
    for name, expected in manifest.files.items():
        digest = hashlib.sha256()
        with (directory / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != expected:
            raise ValueError(f"{name} is not the file that the manifest was written for")


def _read_golden(path: Path, manifest: Manifest) -> tuple[GoldenExample, ...]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    golden = tuple(GoldenExample(row["text"], row["probabilities"]) for row in rows)
    if not golden:
        raise ValueError("there are no golden examples")
    if any(example.probabilities.keys() != set(manifest.labels) for example in golden):
        raise ValueError("a golden example does not name the model's labels")
    return golden


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)

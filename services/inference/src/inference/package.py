"""Reads a model package: its manifest, checked against the files that it names."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from inference.manifest import AnyManifest, TextManifest, parse_manifest
from inference.manifest import Manifest as Manifest
from inference.manifest import TextInputs as TextInputs

_CHUNK = 1 << 20
_LARGEST_MANIFEST = 1 << 20
_SEALED = {
    "text-classification": {"model.onnx", "tokenizer.json", "golden.jsonl"},
    "tensors": {"model.onnx", "golden.jsonl"},
}


class PackageInvalid(Exception):
    """A package that must not serve, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class GoldenExample:
    """An input with the answer that it must give."""

    text: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """Tensors, as nested lists, with the outputs that they must give."""

    tensors: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package whose files are the ones that its manifest was written for."""

    directory: Path
    manifest: AnyManifest
    manifest_sha256: str
    golden: tuple[GoldenExample, ...] = ()
    """Of a text model."""
    golden_rows: tuple[GoldenRow, ...] = ()
    """Of a model of tensors."""

    def __str__(self) -> str:
        return place_of(self.directory)


def read_package(directory: Path) -> ModelPackage:
    """Reads `model.yaml` and the golden examples, and checks the hash of every file.

    Raises:
        PackageInvalid: something is missing, malformed or not what the manifest says.
    """
    place = place_of(directory)
    golden: tuple[GoldenExample, ...] = ()
    golden_rows: tuple[GoldenRow, ...] = ()
    try:
        source = _read_manifest(directory)
        manifest = parse_manifest(yaml.safe_load(source))
        _check_hashes(directory, manifest)
        rows = _read_rows(directory / "golden.jsonl")
        if isinstance(manifest, TextManifest):
            golden = _golden_examples(rows, manifest)
        else:
            golden_rows = tuple(GoldenRow(row["tensors"], row["outputs"]) for row in rows)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise PackageInvalid(f"{place}: {brief(error)}") from error
    if (manifest.name, manifest.version) != (directory.parent.name, directory.name):
        raise PackageInvalid(
            f"{place}: the manifest names {manifest.name} version {manifest.version}"
        )
    digest = hashlib.sha256(source).hexdigest()
    return ModelPackage(directory, manifest, digest, golden, golden_rows)


def is_unchanged(package: ModelPackage) -> bool:
    """Whether the files are still those that the package was read from."""
    try:
        digest = hashlib.sha256(_read_manifest(package.directory)).hexdigest()
        _check_hashes(package.directory, package.manifest)
    except (OSError, ValueError):
        return False
    return digest == package.manifest_sha256


def place_of(directory: Path) -> str:
    """What a package is called in errors: callers see them, and no path of this machine."""
    return f"{directory.parent.name}/{directory.name}"


def brief(error: Exception) -> str:
    """What is wrong with a file of a package, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return " ".join(str(error).split())


def _read_manifest(directory: Path) -> bytes:
    with (directory / "model.yaml").open("rb") as file:
        source = file.read(_LARGEST_MANIFEST + 1)
    if len(source) > _LARGEST_MANIFEST:
        raise ValueError("model.yaml is larger than a manifest may be")
    return source


def _check_hashes(directory: Path, manifest: AnyManifest) -> None:
    missing = _SEALED[manifest.task] - manifest.files.keys()
    if missing:
        raise ValueError(f"the manifest names no {', '.join(sorted(missing))}")
    for name, expected in manifest.files.items():
        if Path(name).name != name:
            raise ValueError("the manifest names a file outside of the package")
        digest = hashlib.sha256()
        with (directory / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != expected:
            raise ValueError(f"{name} is not the file that the manifest was written for")


def _read_rows(path: Path) -> list[Any]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if not rows:
        raise ValueError("there are no golden examples")
    return rows


def _golden_examples(rows: list[Any], manifest: TextManifest) -> tuple[GoldenExample, ...]:
    golden = tuple(GoldenExample(row["text"], row["probabilities"]) for row in rows)
    if any(example.probabilities.keys() != set(manifest.labels) for example in golden):
        raise ValueError("a golden example does not name the model's labels")
    return golden

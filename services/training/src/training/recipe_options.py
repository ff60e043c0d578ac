"""Makes a recipe's settings from command-line options, where no file says them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.domain import InputError


def split_assignments(option: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Split each ``name=value``. Raises InputError for one without a name or a value."""
    pairs = []
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise InputError(f"{option} {value!r}: give name=value")
        pairs.append((name, rest))
    return pairs


def label_names(labels: str) -> list[str]:
    """Split ``negative,positive``; the schema judges the names."""
    return [name.strip() for name in labels.split(",")]


def file_sources(
    files: Mapping[str, Sequence[str]], root: Path | None
) -> tuple[list[dict[str, Any]], Path]:
    """Sources from ``{"train": ["sst2=a/train.jsonl.gz", …], "dev": […]}`` and their root.

    A file without a name is called after its directory. Without ``root``, paths are kept relative
    to the directory that all share, so that a record says nothing of this machine.
    """
    placed = [(split, *_named(value)) for split, values in files.items() for value in values]
    if not placed:
        raise InputError("no data: give a recipe file, --train or --hub")
    if root is None:
        paths = [Path(path).resolve() for _, _, path in placed]
        root = Path(os.path.commonpath([path.parent.parent for path in paths]))
        relative = [path.relative_to(root).as_posix() for path in paths]
    else:
        relative = [path for _, _, path in placed]
    sources: dict[str, dict[str, Any]] = {}
    for (split, name, _), path in zip(placed, relative, strict=True):
        sources.setdefault(name, {"name": name}).setdefault(split, []).append(path)
    return list(sources.values()), root


def _named(value: str) -> tuple[str, str]:
    name, equals, path = value.partition("=")
    if equals and "/" not in name:
        return name, path
    folder = Path(value).resolve().parent.name.lower()
    return re.sub(r"[^a-z0-9_-]+", "-", folder).strip("-") or "data", value

"""What ``export`` leaves beside a finished model, for those who evaluate, compare or register it.

``export.json`` tells of the graphs that lie beside it: how they answer, how fast they are, and
whether they passed their checks. Reading it needs neither torch nor onnxruntime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from training.domain import InputError
from training.provenance import file_sha256
from training.staged_directory import write_whole

EXPORT = "export.json"
FUSED = "fused.onnx"
INT8 = "int8.onnx"
FORMAT = 1

Quantisation = Literal["static", "dynamic", "none"]


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that decides whether a graph may be served.

    ``bound`` says whether ``limit`` is the greatest or the least that passes.
    """

    name: str
    value: float
    limit: float
    bound: Literal["at most", "at least"]

    @property
    def passed(self) -> bool:
        """Whether the figure keeps to its limit; a figure that is not a number does not."""
        if self.bound == "at most":
            return self.value <= self.limit
        return self.value >= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "FAILED"
        return f"{self.name} {self.value:.6g} ({self.bound} {self.limit:g}): {verdict}"


@dataclass(frozen=True, slots=True)
class Batching:
    """What of a graph's items may share a run, as ``model.yaml`` says it.

    ``independent``: an item's answer does not depend on the items beside it.
    """

    independent: bool
    max_items: int = 16
    max_padded_tokens: int = 2048


@dataclass(frozen=True, slots=True)
class Projection:
    """The graph's second output: float32 ``[batch, dimensions]`` of the pooled hidden state."""

    output: str = "projection"
    dimensions: int = 64


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished model's graphs and figures; ``directory`` holds them.

    ``metrics`` has one entry for each dev source, by title (``sst2 dev``): ``rows``,
    ``fp32_accuracy``, ``accuracy`` (of the served graph, each text alone), ``f1``, ``agreement``,
    ``mean_confidence``, ``noise_changed_labels`` and ``labels_sha256``. ``data`` describes the dev
    rows they come from (name, split, rows, sha256). ``speed`` is measured on the machine that
    exported, ``confidence`` says how the temperature was fitted and what it is worth,
    ``activations`` where the scales of a static graph come from, and ``files`` has bytes and
    SHA-256 of each graph.
    """

    directory: Path
    quantisation: Quantisation
    labels: tuple[str, ...]
    max_tokens: int
    truncation: Literal["head", "tail", "head_tail"]
    temperature: float
    batching: Batching
    projection: Projection | None
    golden_tolerance: float
    layers: int
    vocabulary: int
    metrics: Mapping[str, Mapping[str, Any]]
    data: tuple[Mapping[str, Any], ...]
    checks: tuple[Check, ...]
    speed: Mapping[str, Any]
    confidence: Mapping[str, Any] | None
    activations: Mapping[str, Any] | None
    files: Mapping[str, Mapping[str, Any]]

    @property
    def graph(self) -> Path:
        """The graph to be served."""
        return self.directory / (FUSED if self.quantisation == "none" else INT8)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that forbid to serve it."""
        return tuple(check for check in self.checks if not check.passed)

    def inputs(self, max_characters: int) -> dict[str, Any]:
        """``model.yaml``'s ``inputs``."""
        return {
            "kind": "text",
            "max_characters": max_characters,
            "max_tokens": self.max_tokens,
            "truncation": self.truncation,
        }

    def serving(self) -> dict[str, Any]:
        """``model.yaml``'s other keys that say how the graph is to be run."""
        keys: dict[str, Any] = {
            "temperature": self.temperature,
            "quantisation": self.quantisation,
            "batching": asdict(self.batching),
            "golden_tolerance": self.golden_tolerance,
        }
        if self.projection is not None:
            keys["projection"] = asdict(self.projection)
        return keys


def write_exported(exported: Exported) -> Path:
    """Write ``export.json`` beside the graphs, whole or not at all, and return it."""
    fields = asdict(exported)
    del fields["directory"]
    fields["checks"] = [{**asdict(check), "passed": check.passed} for check in exported.checks]
    text = json.dumps({"format": FORMAT, **fields}, indent=2, ensure_ascii=False) + "\n"
    path = exported.directory / EXPORT
    write_whole(path, lambda stage: stage.write_text(text, encoding="utf-8"))
    return path


def read_exported(directory: Path) -> Exported:
    """Read what ``export`` left in a finished model's directory.

    Raises InputError when there is none, when it does not fit, or when a graph has changed since.
    """
    path = directory / EXPORT
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise InputError(f"{path}: of another format than {FORMAT}")
        checks = tuple(
            Check(of["name"], of["value"], of["limit"], of["bound"]) for of in fields.pop("checks")
        )
        projection = fields.pop("projection")
        exported = Exported(
            directory=directory,
            labels=tuple(fields.pop("labels")),
            batching=Batching(**fields.pop("batching")),
            projection=Projection(**projection) if projection else None,
            data=tuple(fields.pop("data")),
            checks=checks,
            **fields,
        )
        graph = exported.graph.name
        if file_sha256(exported.graph) != exported.files[graph]["sha256"]:
            raise InputError(f"{directory / graph}: changed since it was exported; export again")
    except OSError as exc:
        missing = Path(exc.filename or path).name
        raise InputError(
            f"{directory}: not exported (no {missing}); run weir-train export"
        ) from exc
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InputError(f"{path}: not the record of an export ({type(exc).__name__})") from exc
    return exported

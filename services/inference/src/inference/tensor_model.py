"""A model of named tensors, ready to answer once it has proven itself."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.domain import Caller, Fault, Item, Rejection, Scored, TextFacts
from inference.feature_row import row_of
from inference.manifest import TensorManifest
from inference.onnx_tensors import TensorGraph
from inference.package import GoldenRow, ModelPackage, PackageInvalid
from inference.runnable import Batching, Prepared
from inference.tensor_values import Array, array_of, digest, fault_of
from inference.watched_numbers import WatchedNumbers

_MAX_ITEMS = 64
"""Rows that run together where the manifest does not say."""


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """One row that the model takes."""

    tensors: Mapping[str, Array]
    sha256: bytes

    @property
    def size(self) -> int:
        """Every row costs the same."""
        return 1


class TensorModel:
    """Answers rows of tensors; safe to use from several threads at once.

    Rows run together where every tensor has an axis of rows and the manifest does not forbid it.
    """

    max_size = 1

    def __init__(self, manifest: TensorManifest, graph: TensorGraph, sample: PreparedRow) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self.version = manifest.version
        self.max_waiting_items = manifest.limits.max_waiting_items
        stated = manifest.batching
        together = manifest.rows_stack and stated.independent is not False
        most = (stated.max_items or _MAX_ITEMS) if together else 1
        self.batching = Batching(independent=together, max_items=most, max_padded_tokens=most)
        self._specs = {spec.name: spec for spec in manifest.inputs.tensors}
        self._graph = graph
        self._watched = WatchedNumbers(manifest)
        self._sample = sample

    def prepare(self, item: Item) -> PreparedRow | Rejection:
        """Checks a row."""
        return prepare_row(self.manifest, item)

    def sample(self, size: int) -> PreparedRow:
        """A row that the model is known to take."""
        return self._sample

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        """The outputs for each row; rows of one shape run together.

        Raises:
            ValueError: the graph failed, or did not give one answer for each row.
        """
        rows = [prepared for prepared in batch if isinstance(prepared, PreparedRow)]
        alike: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            alike[tuple(row.tensors[name].shape for name in self._specs)].append(place)
        answers: dict[int, Scored] = {}
        for places in alike.values():
            answers |= zip(places, self._run([rows[place] for place in places]), strict=True)
        return [answers[place] for place in range(len(rows))]

    def _run(self, rows: Sequence[PreparedRow]) -> list[Scored]:
        feeds = {name: np.concatenate([row.tensors[name] for row in rows]) for name in self._specs}
        started = time.perf_counter()
        outputs = self._graph.run(feeds)
        milliseconds = (time.perf_counter() - started) * 1e3
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) != len(rows):
                raise ValueError(f"the graph did not give one row of {name} for each it was given")
        return [
            self._scored(
                {name: array[place : place + 1] for name, array in outputs.items()},
                row,
                milliseconds,
            )
            for place, row in enumerate(rows)
        ]

    def _scored(
        self, outputs: Mapping[str, Array], row: PreparedRow, milliseconds: float
    ) -> Scored:
        probabilities: dict[str, float] = {}
        if self.manifest.labels:
            shares = outputs[self.manifest.probabilities].astype(np.float64).ravel().tolist()
            if not all(0 <= share <= 1 + _ROUNDING for share in shares) or not math.isclose(
                sum(shares), 1, abs_tol=0.01
            ):
                raise ValueError("the graph gave probabilities that are none")
            probabilities = dict(zip(self.manifest.labels, shares, strict=True))
        return Scored(
            probabilities=probabilities,
            facts=TextFacts(row.sha256, characters=0, tokens=0, unknown_tokens=0, special_tokens=0),
            milliseconds=milliseconds,
            outputs=outputs,
            watched=self._watched.of(row.tensors, outputs),
        )


_ROUNDING = 1e-6


def prepare_row(manifest: TensorManifest, item: Item) -> PreparedRow | Rejection:
    """The tensors of an item, when they are those that the manifest declares."""
    specs = {spec.name: spec for spec in manifest.inputs.tensors}
    tensors = item.tensors
    if tensors is None and item.row is not None:
        found = row_of(item.row, manifest.inputs.tensors)
        if isinstance(found, Rejection):
            return found
        tensors = found
    if tensors is None:
        if item.text is not None:
            return Rejection(Fault.INPUT_KIND, "This model takes tensors.")
        return Rejection(Fault.INPUT_MISSING, "The item has no input.")
    if tensors.keys() != specs.keys():
        takes = ", ".join(specs)
        return Rejection(Fault.TENSORS_INVALID, f"This model takes the tensors {takes}.")
    for name, spec in specs.items():
        if fault := fault_of(tensors[name], spec):
            return Rejection(Fault.TENSORS_INVALID, f"The tensor {fault}.")
    return PreparedRow(tensors, digest(tensors, specs))


def load_tensor_model(package: ModelPackage, manifest: TensorManifest) -> TensorModel:
    """Loads a package and has it answer its golden rows, one by one and together.

    Raises:
        PackageInvalid: it cannot be loaded, or an answer is not the one that it must give.
    """
    try:
        graph = TensorGraph(package.directory / "model.onnx", manifest)
        rows = [_golden_row(manifest, golden) for golden in package.golden_rows]
        model = TensorModel(manifest, graph, rows[0])
        answers = [model.run([row])[0] for row in rows]
        if model.batching.independent:
            answers += model.run(rows)
        for answer, golden in zip(answers, package.golden_rows * 2, strict=False):
            _compare(answer, golden, manifest)
    except Exception as error:
        # Whatever a graph does wrong at its first run, and in its own words.
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise PackageInvalid(f"{package}: {reason}") from error
    return model


def _golden_row(manifest: TensorManifest, golden: GoldenRow) -> PreparedRow:
    datatypes = {spec.name: spec.datatype for spec in manifest.inputs.tensors}
    if golden.tensors.keys() != datatypes.keys():
        raise ValueError("a golden example does not name the model's tensors")
    tensors = {name: array_of(golden.tensors[name], kind) for name, kind in datatypes.items()}
    prepared = prepare_row(manifest, Item(None, Caller("", ""), "", tensors=tensors))
    if isinstance(prepared, Rejection):
        raise ValueError(f"a golden example is refused: {prepared.message}")
    return prepared


def _compare(answer: Scored, golden: GoldenRow, manifest: TensorManifest) -> None:
    datatypes = {spec.name: spec.datatype for spec in manifest.outputs}
    given = answer.outputs or {}
    if not golden.outputs or not golden.outputs.keys() <= datatypes.keys():
        raise ValueError("a golden example does not name the model's outputs")
    for name, values in golden.outputs.items():
        expected, found = array_of(values, datatypes[name]), given[name]
        if expected.shape != found.shape:
            raise ValueError(f"a golden example's {name} is of shape {list(found.shape)}")
        if not datatypes[name].startswith("FP"):
            close = bool((expected == found).all())
        else:
            limit = manifest.golden_tolerance * np.maximum(1, np.abs(expected.astype(np.float64)))
            distance = np.abs(found.astype(np.float64) - expected.astype(np.float64))
            # Written so that a NaN fails, too.
            close = bool((distance <= limit).all())
        if not close:
            raise ValueError(
                f"a golden example's {name} is off by more than {manifest.golden_tolerance}"
            )

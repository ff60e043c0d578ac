"""What a version of a model takes and gives, in tensors, whatever its task."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.domain import NoItems, TensorsInvalid, TooManyItems
from inference.manifest import AnyManifest, TensorManifest, TensorSpec

ANY = -1
"""In a shape: every length will do."""
TEXT = "text"
LABEL = "label"
CONFIDENCE = "confidence"
PROBABILITIES = "probabilities"
PREDICTION_ID = "prediction_id"


@dataclass(frozen=True, slots=True)
class StatedTensor:
    """A tensor as a request describes it."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """The tensors of one version of a model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    takes_text: bool

    def rows_of(self, tensors: Sequence[StatedTensor], most: int) -> int:
        """How many rows a request has, when its tensors are those that are taken.

        Args:
            most: rows that one request may have.

        Raises:
            TensorsInvalid: one is missing, unknown, twice there, or of another type or shape.
            NoItems, TooManyItems: there are no rows, or more than may be.
        """
        wanted = {spec.name: spec for spec in self.inputs}
        for tensor in tensors:
            spec = wanted.pop(tensor.name, None)
            if spec is None:
                takes = ", ".join(repr(spec.name) for spec in self.inputs)
                name = tensor.name[:100]
                raise TensorsInvalid(
                    f"Input {name!r} is unknown or there twice; the model takes {takes}."
                )
            self._check(tensor, spec)
        if wanted:
            missing = ", ".join(map(repr, wanted))
            raise TensorsInvalid(f"The request lacks the input {missing}.")
        rows = {tensor.shape[0] for tensor in tensors}
        if len(rows) != 1:
            raise TensorsInvalid("The inputs differ in their first dimension, which counts rows.")
        (count,) = rows
        if count < 1:
            raise NoItems("A request needs at least one row.")
        if count > most:
            raise TooManyItems(f"A request may have {most} rows at most.")
        return count

    def chosen_outputs(self, names: Sequence[str]) -> tuple[TensorSpec, ...]:
        """The outputs of those names, in their order; all where none are named.

        Raises:
            TensorsInvalid: the model gives none of that name.
        """
        if not names:
            return self.outputs
        known = {spec.name: spec for spec in self.outputs}
        chosen: dict[str, TensorSpec] = {}
        for name in names:
            if name not in known:
                gives = ", ".join(map(repr, known))
                raise TensorsInvalid(f"There is no output {name[:100]!r}; the model gives {gives}.")
            chosen[name] = known[name]
        return tuple(chosen.values())

    def _check(self, tensor: StatedTensor, spec: TensorSpec) -> None:
        if tensor.datatype != spec.datatype:
            stated = tensor.datatype[:20]
            raise TensorsInvalid(f"Input {spec.name!r} is of {spec.datatype}, not of {stated!r}.")
        # A column of texts is what many clients make of a list of texts.
        is_column = self.takes_text and len(tensor.shape) == 2 and tensor.shape[1] == 1
        if not is_column and not _fits(tensor.shape, spec.shape):
            raise TensorsInvalid(
                f"Input {spec.name!r} is of shape {list(spec.shape)}, "
                f"not of {list(tensor.shape[:16])}; -1 takes any length."
            )


def interface_of(manifest: AnyManifest) -> ModelInterface:
    """The tensors of a version.

    A text model takes one BYTES tensor of UTF-8 texts and gives what a prediction is made of. A
    model of tensors takes and gives its own, and the ids under which the rows are on record. One
    whose graph takes a row at a time gets the rows of a request one by one.
    """
    identifiers = TensorSpec(name=PREDICTION_ID, datatype="BYTES", shape=(ANY,))
    if isinstance(manifest, TensorManifest):
        own = _of_any_rows(manifest.outputs)
        if all(spec.name != PREDICTION_ID for spec in own):
            own = (*own, identifiers)
        return ModelInterface(_of_any_rows(manifest.inputs.tensors), own, takes_text=False)
    outputs = (
        TensorSpec(name=LABEL, datatype="BYTES", shape=(ANY,)),
        TensorSpec(name=CONFIDENCE, datatype="FP32", shape=(ANY,)),
        TensorSpec(name=PROBABILITIES, datatype="FP32", shape=(ANY, len(manifest.labels))),
        identifiers,
    )
    text = TensorSpec(name=TEXT, datatype="BYTES", shape=(ANY,))
    return ModelInterface((text,), outputs, takes_text=True)


def _of_any_rows(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(spec.model_copy(update={"shape": (ANY, *spec.shape[1:])}) for spec in specs)


def _fits(shape: Sequence[int], declared: Sequence[int]) -> bool:
    return len(shape) == len(declared) and all(
        length == wanted or (wanted == ANY and length >= 0)
        for length, wanted in zip(shape, declared, strict=True)
    )

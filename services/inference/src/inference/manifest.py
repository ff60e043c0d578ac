"""What `model.yaml` says, as far as serving needs it; other keys are for people and tools."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
"""Names of the Open Inference Protocol; BYTES are UTF-8 strings."""

Dimension = Annotated[int, Field(ge=-1)]


class TextInputs(BaseModel):
    """What a text model takes."""

    kind: Literal["text"]
    max_characters: int = Field(gt=0)
    max_tokens: int = Field(gt=2)
    truncation: Literal["head", "tail", "head_tail"] = "head"
    """Which part of a longer text the model sees; the special tokens are always kept."""


class TensorSpec(BaseModel):
    """A tensor that a graph takes or gives.

    -1 in its shape is any length. The first axis counts rows: -1, or 1 where the graph takes a row
    at a time.
    """

    name: str = Field(min_length=1, max_length=100)
    datatype: Datatype
    shape: tuple[Dimension, ...] = Field(min_length=1, max_length=8)

    @field_validator("shape")
    @classmethod
    def _begins_with_rows(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[0] not in (-1, 1) or 0 in shape:
            raise ValueError("the first dimension counts rows: -1 or 1; none is 0")
        return shape

    @property
    def has_rows(self) -> bool:
        """Whether it takes as many rows as there are."""
        return self.shape[0] == -1


class TensorInputs(BaseModel):
    """What a model of tensors takes."""

    kind: Literal["tensors"]
    tensors: tuple[TensorSpec, ...] = Field(min_length=1)
    max_characters: Literal[0] = 0
    max_tokens: Literal[0] = 0


class WatchedNumber(BaseModel):
    """A number of an input or an output that goes on record, for drift watch."""

    tensor: str
    column: int = Field(default=0, ge=0)
    """Its place in the row of the tensor, row-major."""
    name: str = Field(default="", max_length=100)
    """What reports call it; the tensor's name where it is empty."""
    minimum: float | None = None
    maximum: float | None = None
    """The range that is to be expected; an input outside of it is counted."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.name or self.tensor

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self


class BatchingOptions(BaseModel):
    """What the model allows to run together; without them the task decides."""

    independent: bool | None = None
    """Whether an answer is the same whatever it is computed with."""
    max_items: int | None = Field(default=None, gt=0)
    max_padded_tokens: int | None = Field(default=None, gt=0)


class Limits(BaseModel):
    """What one model may take of the service."""

    max_waiting_items: int | None = Field(default=None, gt=0)
    """Items that may wait for it at once; None for the service's own limit."""


class Manifest(BaseModel):
    """What every task has."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    format: Literal[1]
    name: str = Field(min_length=1, max_length=100)
    version: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = ()
    golden_tolerance: float = Field(gt=0, lt=0.5)
    files: Mapping[str, str]
    batching: BatchingOptions = BatchingOptions()
    limits: Limits = Limits()
    quantisation: Literal["none", "dynamic", "static"] | None = None
    """How the graph's weights were made smaller; told on, and never guessed from."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if len(set(self.labels)) < len(self.labels) or "" in self.labels:
            raise ValueError("labels must differ, and none may be empty")
        return self


class TextManifest(Manifest):
    """A model that sorts texts."""

    task: Literal["text-classification"]
    labels: tuple[str, ...] = Field(min_length=2)
    inputs: TextInputs
    temperature: float = Field(default=1.0, gt=0, le=1000)
    """Logits are divided by it before they become probabilities."""


class TensorManifest(Manifest):
    """A model of named tensors; it classifies where it has labels."""

    task: Literal["tensors"]
    inputs: TensorInputs
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    probabilities: str = ""
    """The output that holds one probability per label."""
    watched: tuple[WatchedNumber, ...] = Field(default=(), max_length=256)
    """None without being named: a table's values may be nobody else's business."""

    @model_validator(mode="after")
    def _watched_are_numbers(self) -> Self:
        specs = {spec.name: spec for spec in (*self.inputs.tensors, *self.outputs)}
        for watched in self.watched:
            spec = specs.get(watched.tensor)
            if spec is None or spec.datatype == "BYTES":
                raise ValueError(f"there are no numbers {watched.tensor!r} to be watched")
        if len({watched.title for watched in self.watched}) < len(self.watched):
            raise ValueError("two watched numbers have one name")
        return self

    @model_validator(mode="after")
    def _outputs_agree(self) -> Self:
        for kind, specs in (("inputs", self.inputs.tensors), ("outputs", self.outputs)):
            if len({spec.name for spec in specs}) < len(specs):
                raise ValueError(f"two {kind} have one name")
        if bool(self.labels) != bool(self.probabilities):
            raise ValueError("labels and probabilities go together")
        if not self.probabilities:
            return self
        found = [spec for spec in self.outputs if spec.name == self.probabilities]
        if not found:
            raise ValueError(f"there is no output {self.probabilities!r} for the probabilities")
        if found[0].datatype not in ("FP32", "FP64") or found[0].shape[-1] not in (
            -1,
            len(self.labels),
        ):
            raise ValueError("the probabilities must be FP32 or FP64, one per label")
        return self

    @property
    def rows_stack(self) -> bool:
        """Whether rows of several items make one batch of the graph."""
        return all(spec.has_rows for spec in (*self.inputs.tensors, *self.outputs))


AnyManifest = TextManifest | TensorManifest

_READER: TypeAdapter[AnyManifest] = TypeAdapter(
    Annotated[AnyManifest, Field(discriminator="task")],
)


def parse_manifest(content: object) -> AnyManifest:
    """Checks the content of a `model.yaml`.

    Raises:
        pydantic.ValidationError: a key is missing or wrong.
    """
    return _READER.validate_python(content)

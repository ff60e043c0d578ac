"""The JSON of the Open Inference Protocol's requests; what it does not name is passed over."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.text_rules import is_clean

MAX_DIMENSION = 1 << 24


def _clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("holds a NUL character or broken Unicode")
    return text


Name = Annotated[str, Field(max_length=100), AfterValidator(_clean)]
Parameters = Annotated[dict[Name, Any], Field(max_length=100)]
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
Dimension = Annotated[int, Field(ge=0, le=MAX_DIMENSION)]


class V2Body(BaseModel):
    """Turns nothing into another type."""

    model_config = ConfigDict(extra="ignore", strict=True)


V2BodyT = TypeVar("V2BodyT", bound=V2Body)


class InputTensor(V2Body):
    """One tensor of a request."""

    name: Name = Field(examples=["text"])
    datatype: Datatype = Field(examples=["BYTES"])
    shape: list[Dimension] = Field(
        min_length=1,
        max_length=16,
        examples=[[1]],
        description="The first dimension counts rows; each row is one prediction.",
    )
    parameters: Parameters | None = Field(
        default=None,
        description="`binary_data_size`: how many of the bytes after the JSON are this tensor's.",
    )
    data: Any = Field(
        default=None,
        examples=[["What a wonderful film."]],
        description="Row-major, flat or nested as the shape; absent where it comes in binary.",
    )


class RequestedOutput(V2Body):
    """One tensor that the answer is to hold."""

    name: Name = Field(examples=["label"])
    parameters: Parameters | None = Field(
        default=None, description="`binary_data`: whether it comes after the JSON."
    )


class InferBody(V2Body):
    """A request for predictions, of which every row or none is predicted."""

    id: Name | None = Field(
        default=None, description="Comes back with the answer.", examples=["a-1"]
    )
    parameters: Parameters | None = Field(
        default=None,
        description="`binary_data_output`: whether outputs come after the JSON. `subject`: your "
        "own name for the person whom all rows are about, so that they can be erased from the log. "
        "`timeout`: microseconds after which nobody waits for the answer any more.",
    )
    inputs: list[InputTensor] = Field(min_length=1, max_length=100)
    outputs: list[RequestedOutput] | None = Field(
        default=None, max_length=100, description="None: all of them."
    )


class IndexBody(V2Body):
    """What to list of the repository."""

    ready: bool = Field(default=False, description="Only versions that can be asked.")


class ControlBody(V2Body):
    """How to load or unload; there is nothing to say."""

    parameters: Parameters | None = Field(
        default=None, description="`unload_dependents` is ignored; nothing else is taken."
    )

"""What inference speaks about: inputs, predictions, and why there may be none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

import numpy as np
import numpy.typing as npt

from servicekit.errors import (
    DeadlineExceeded,
    Exhausted,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unavailable,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a prediction is for."""

    tenant: str
    client_id: str
    delegate_id: str = ""
    """The client that called on its behalf; empty when it called itself."""


class InputKeeping(Enum):
    """What the log keeps of an input beside its hash and its counts."""

    NOTHING = auto()
    ENCRYPTED = auto()
    PLAIN = auto()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a tenant has the records of its predictions kept."""

    input: InputKeeping = InputKeeping.NOTHING
    retention_class: str = ""
    """Empty for the log's default."""

    @property
    def keeps_text(self) -> bool:
        """Whether the log gets the text."""
        return self.input is not InputKeeping.NOTHING


Tensors = Mapping[str, npt.NDArray[np.generic]]
"""By name; the first axis counts rows. BYTES are arrays of Python's `bytes`."""


FeatureValue = float | str | bool | None
"""Of a row of a table; None where it is missing."""


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a call: a text, one row of tensors, or of a table; None is what it is not."""

    text: str | None
    caller: Caller
    request_id: str
    row: Mapping[str, FeatureValue] | None = field(default=None, repr=False)
    tensors: Tensors | None = field(default=None, repr=False)
    deadline: float | None = None
    """When nobody waits for the answer any more, by `time.monotonic`; None for never."""
    traceparent: str = ""
    """The item's own trace, where it is not the call's."""
    keeping: Keeping = Keeping()
    subject: str = field(default="", repr=False)
    """The person whom the input is about, as the client calls them; empty when it does not say."""

    @property
    def is_private(self) -> bool:
        """Whether the log gets something that nobody else may read."""
        return bool(self.subject) or self.keeping.keeps_text


MAX_SUBJECT = 256
"""Characters."""


class Fault(Enum):
    """Why one item cannot be predicted."""

    INPUT_MISSING = auto()
    INPUT_KIND = auto()
    TEXT_BLANK = auto()
    TEXT_TOO_LONG = auto()
    TEXT_INVALID = auto()
    SUBJECT_INVALID = auto()
    SATURATED = auto()
    DEADLINE_EXCEEDED = auto()
    SEALING_KEY_MISSING = auto()
    TENSORS_INVALID = auto()
    MODEL_FAILED = auto()


@dataclass(frozen=True, slots=True)
class Rejection:
    """One item that was not predicted, and why."""

    fault: Fault
    message: str
    retry_after: float = 0.0
    """Seconds after which trying again may help; 0 where it never does."""


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What is kept of a text."""

    sha256: bytes
    characters: int
    tokens: int
    """Tokens that the model saw, special tokens included, after truncation."""
    unknown_tokens: int
    special_tokens: int
    letters: Mapping[str, int] = field(default_factory=dict)
    """By script."""


@dataclass(frozen=True, slots=True)
class Projection:
    """The pooled hidden state in a few dimensions, for drift watch; each is `value * scale`."""

    values: bytes
    """One int8 for each dimension."""
    scale: float


@dataclass(frozen=True, slots=True)
class WatchedValues:
    """Numbers of a row that the package has drift watch."""

    features: Mapping[str, float]
    """NaN where one is missing."""
    out_of_range: tuple[str, ...]
    """Features outside of the range that the package states."""
    predicted: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """A model's answer to one item."""

    probabilities: Mapping[str, float]
    """By label, in the model's order; they sum to 1."""
    facts: TextFacts
    milliseconds: float
    """Time in the model."""
    outputs: Tensors | None = None
    """What a model of tensors gave, one row; None for a text."""
    cached: bool = False
    """The model was not run: the same version had answered the same input before."""
    projection: Projection | None = None
    """Where the graph gives one."""
    watched: WatchedValues | None = None
    """Of a model of tensors whose package names some."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer that was, or is about to be, recorded."""

    prediction_id: UUID
    predicted_at: datetime
    model: str
    model_version: str
    item: Item
    scored: Scored
    label: str
    confidence: float
    unlogged: bool = False
    shadow: bool = False
    """Answered by a version that takes no traffic; nobody saw it."""


Outcome = Prediction | Rejection


class ModelUnknown(NotFound):
    """There is no model of that name, or no such version of it."""

    reason = "MODEL_UNKNOWN"


class ModelNotLoaded(Unavailable):
    """The model is known, and none of the versions that could answer is loaded."""

    reason = "MODEL_NOT_LOADED"


class ModelLoadFailed(Unavailable):
    """A version that was asked for could not be loaded."""

    reason = "MODEL_LOAD_FAILED"


class ModelControlDisabled(PermissionDenied):
    """Models are loaded and unloaded by `routing.yaml` alone."""

    reason = "MODEL_CONTROL_DISABLED"


class NoItems(InvalidInput):
    """The call carries nothing to predict."""

    reason = "NO_ITEMS"


class TooManyItems(InvalidInput):
    """The call carries more than one call may."""

    reason = "TOO_MANY_ITEMS"


class TensorsInvalid(InvalidInput):
    """Tensors of another name, type, shape or length than the model takes."""

    reason = "TENSORS_INVALID"


class ParametersRefused(InvalidInput):
    """A model is what its package says; a call cannot make it another."""

    reason = "PARAMETERS_REFUSED"


class RowRefused(InvalidInput):
    """A row that cannot be predicted, of a request that is answered whole or not at all."""

    reason = "ROW_REFUSED"


class ModelFailed(Internal):
    """The model failed on a row of such a request."""

    reason = "MODEL_FAILED"


class QueueFull(Exhausted):
    """More is under way than this replica takes on."""

    reason = "QUEUE_FULL"


class OutOfTime(DeadlineExceeded):
    """None of the items would be answered while somebody waits for it."""

    reason = "DEADLINE_EXCEEDED"


class KeepingInvalid(InvalidInput):
    """The stated way of keeping a record is none that the log could follow."""

    reason = "KEEPING_INVALID"


class SealingKeyInvalid(Exception):
    """The public key to seal inputs with cannot be used; the message names the file."""


class SealingKeyMissing(Unavailable):
    """The record of the prediction needs a key that this replica was started without."""

    reason = "SEALING_KEY_MISSING"


class DelegationDenied(PermissionDenied):
    """The call states a caller or a keeping other than those that its token names."""

    reason = "DELEGATION_DENIED"

"""Value types of training, and its errors.

Nothing here knows torch, ONNX or the command line.
"""

from __future__ import annotations

from dataclasses import dataclass


class InputError(Exception):
    """What the user gave (data, base model, output, version) cannot be used.

    The message is one line, written for the person who typed the command.
    """


class ExportError(Exception):
    """A graph is not what it must be (not fused, not equal to the model): nothing is packaged."""


class Refused(Exception):
    """A package or a promotion that the rules do not allow, with the reason in one line."""


class StorageError(Exception):
    """What was made cannot be kept: a full disk, a store that is away. No half of it is visible."""


class TrainingError(Exception):
    """Training went wrong in a way that no file is to blame for: the loss is not a number."""


class Pruned(Exception):
    """A trial was given up: others were better at the same point."""


class Interrupted(Exception):
    """The run was asked to stop and has kept a checkpoint; ``signal`` is what asked."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; ``label`` is the index of a class in the order of the logits.

    ``source`` names the data set that it came from, where several are mixed.
    """

    text: str
    label: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one file in file order, and the SHA-256 (hex) of the file as it lies on disk."""

    name: str
    split: str
    examples: tuple[Example, ...]
    sha256: str

    @property
    def title(self) -> str:
        """The name of the set in a package: data set and split."""
        return f"{self.name} {self.split}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one text: the probability of each label, and how many tokens it saw.

    ``projection`` has one int8 for each dimension of the pooled hidden state, to be multiplied by
    ``projection_scale``; it is empty where the graph gives none.
    """

    probabilities: tuple[float, ...]
    input_tokens: int
    special_tokens: int
    unknown_tokens: int
    projection: bytes = b""
    projection_scale: float = 0.0

    @property
    def label(self) -> int:
        """The index of the most probable label; the lowest index wins a tie."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of the predicted label."""
        return max(self.probabilities)

"""The part of a recipe that says what ``tune`` may change, and how it looks for better values."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from training.recipe_section import Section

Value = bool | int | float | str | None


class Parameter(Section):
    """Values that a setting may take: a range, or choices."""

    low: int | float | None = Field(default=None, description="The least value of a range.")
    high: int | float | None = Field(
        default=None, description="The greatest value; whole numbers at both ends stay whole."
    )
    log: bool = Field(
        default=False, description="Look at orders of magnitude, as for learning rates."
    )
    choices: tuple[Value, ...] | None = Field(
        default=None, min_length=1, description="Values instead of a range."
    )

    @model_validator(mode="after")
    def _a_range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give low and high, or choices")
        elif self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        elif self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 where log is true")
        return self

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The values that a recipe must allow, or it would fail in some trial."""
        return self.choices if self.choices is not None else (self.low, self.high)


DEFAULT_PARAMETERS = {
    "training.learning_rate": Parameter(low=1e-5, high=2e-4, log=True),
    "training.head_learning_rate": Parameter(low=1e-4, high=5e-3, log=True),
    "training.warmup": Parameter(low=0.0, high=0.2),
    "training.dropout": Parameter(low=0.0, high=0.3),
    "training.weight_decay": Parameter(low=1e-3, high=0.1, log=True),
    "training.label_smoothing": Parameter(low=0.0, high=0.15),
}


class Tuning(Section):
    """What tune may change. It decides no weight, and is no part of a recipe's digest."""

    parameters: dict[str, Parameter] = Field(
        default=DEFAULT_PARAMETERS,
        min_length=1,
        description="Dotted settings, each with low and high (log: true for orders of magnitude), "
        "or with choices.",
    )
    pruner: Literal["median", "hyperband", "none"] = Field(
        default="median",
        description="Stops trials that measure worse than others did at the same measurement; "
        "needs training.evaluate_every or several epochs.",
    )
    seed: int = Field(default=7, ge=0, description="Decides which values are tried.")

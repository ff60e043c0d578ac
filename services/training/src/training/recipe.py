"""The recipe: everything that decides a model, in one strict schema.

An unknown key is refused, every key has an explanation (``weir-train recipe --explain``), and a
recipe's digest is that of its values, whatever the layout of its file.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from training.data_recipe import Data
from training.recipe_section import Name, Section
from training.training_recipe import Distillation, Model, Training
from training.tuning_recipe import Tuning


class Recipe(Section):
    """A whole recipe."""

    name: Name = Field(default="model", description="What the recipe makes.")
    labels: tuple[str, ...] = Field(
        default=("negative", "positive"),
        min_length=2,
        description="Label names in the order of the model's logits.",
    )
    data: Data = Field(description="Rows to learn from and to measure on.")
    model: Model = Field(default=Model(), description="What is trained.")
    training: Training = Field(default=Training(), description="How it is trained.")
    distillation: Distillation | None = Field(
        default=None, description="A teacher to learn from; null: labels only."
    )

    tuning: Tuning = Field(
        default=Tuning(),
        # Another search space makes no other model of the same settings.
        exclude=True,
        description="What tune may change, and how it looks.",
    )

    @model_validator(mode="after")
    def _labels_are_known(self) -> Self:
        if len(set(self.labels)) < len(self.labels) or any(
            not name.strip() for name in self.labels
        ):
            raise ValueError("labels: give two or more different names")
        for source in self.data.sources:
            for value, name in source.label_map.items():
                if name is not None and name not in self.labels:
                    raise ValueError(f"source {source.name}: label_map {value}: no label {name!r}")
        return self

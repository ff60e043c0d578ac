"""The part of a recipe that says where rows come from and what is refused."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from training.recipe_section import Name, Section, Share


class Source(Section):
    """One data set, its files or its name on the hub, and how its columns are read."""

    name: Name = Field(description="What the source is called in figures and records.")
    train: tuple[str, ...] = Field(
        default=(),
        description="Files (.jsonl, .csv, .tsv, each also .gz) below --data, or with hub: splits.",
    )
    dev: tuple[str, ...] = Field(
        default=(), description="Files or splits that are only ever measured on."
    )
    test: tuple[str, ...] = Field(
        default=(), description="Files or splits that not even early stopping looks at."
    )
    hub: str | None = Field(
        default=None, description="A data set of the Hugging Face hub; needs the extra 'hub'."
    )
    hub_config: str | None = Field(default=None, description="The hub data set's configuration.")
    hub_revision: str | None = Field(
        default=None, description="A commit of the hub data set; without it, its newest."
    )
    text: tuple[str, ...] = Field(
        default=("text",), min_length=1, description="Column of the text; several are joined."
    )
    label: str = Field(default="label", description="Column of the label.")
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="Values of the label column to label names; to null: not used, but counted. "
        "Without a map, values are names or indices of labels.",
    )
    weight: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="How often each train row counts: 0.5 keeps a sampled half, 2 repeats all.",
    )
    dev_share: Share = Field(
        default=0.0, description="Share of the train files' rows held out as dev, by label."
    )
    test_share: Share = Field(
        default=0.0, description="Share of the train files' rows held out as test, by label."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key in ("train", "dev", "test", "text"):
                if isinstance(given.get(key), str):
                    given = {**given, key: (given[key],)}
        return given

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.train or self.dev or self.test):
            raise ValueError(f"source {self.name}: give train, dev or test")
        if self.dev_share + self.test_share >= 1:
            raise ValueError(f"source {self.name}: dev_share and test_share leave nothing to train")
        if (self.dev_share or self.test_share) and not self.train:
            raise ValueError(f"source {self.name}: a share can be held out of train files only")
        return self


class Cleaning(Section):
    """Which cleaning steps run, in this order; each is counted."""

    entities: bool = Field(default=True, description="&amp;amp; and its like become characters.")
    markup: bool = Field(default=True, description="HTML tags such as <br /> become a space.")
    unicode: bool = Field(default=True, description="Unicode is brought to its composed form, NFC.")
    control_characters: bool = Field(
        default=True, description="Control and invisible formatting characters become a space."
    )
    white_space: bool = Field(default=True, description="Each run of white space becomes a space.")


class Data(Section):
    """Where the rows come from and what is refused."""

    sources: tuple[Source, ...] = Field(min_length=1, description="One entry per data set.")
    cleaning: Cleaning = Field(default=Cleaning(), description="The cleaning steps.")
    seed: int = Field(
        default=7, ge=0, description="Decides what is held out, sampled and its order."
    )
    max_characters: int = Field(
        default=100_000, ge=1, description="A longer text is a bad row: more likely a broken file."
    )
    max_bad_share: Share = Field(
        default=0.0,
        description="Share of bad rows in a file up to which they are left out, listed with file "
        "and line; above it the file is refused.",
    )
    min_label_share: Share = Field(
        default=0.02, description="The rarest label's least share of the train rows."
    )
    drop_leaked: bool = Field(
        default=False,
        description="Leave train rows out whose text is also a dev or test text; else an error.",
    )
    evaluation_duplicates: Literal["drop", "keep"] = Field(
        default="drop",
        description="Repeated texts inside dev and test files; keep compares with published "
        "figures. They are counted either way.",
    )

    @model_validator(mode="after")
    def _different_names(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name")
        return self

"""`routing.yaml`: which versions take which share of a model's traffic, and which only watch."""

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference.domain import Item
from inference.package import PackageInvalid, brief

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a model and a version may be called: directories of that name are opened."""

Stickiness = Literal["client", "subject", "request"]


class _RoutingFile(BaseModel):
    """Keys that training writes for itself (`stages`, `history`) are passed over."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    versions: dict[str, int] = Field(min_length=1)
    shadow: list[str] = []
    sticky: Stickiness = "client"

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        shares = self.versions.values()
        if min(shares) < 0 or sum(shares) != 100:
            raise ValueError("the versions' shares must add up to 100")
        for version in (*self.versions, *self.shadow):
            if not NAME.fullmatch(version):
                raise ValueError("a version's name is none")
        twice = [version for version in self.shadow if self.versions.get(version)]
        if twice:
            raise ValueError(f"version {twice[0]} takes traffic and cannot shadow it")
        return self


@dataclass(frozen=True, slots=True)
class Routing:
    """Who answers whom."""

    shares: tuple[tuple[str, int], ...]
    """Version and percent, in the file's order; whole percents that add up to 100."""
    shadow: tuple[str, ...] = ()
    sticky: Stickiness = "client"

    @property
    def versions(self) -> tuple[str, ...]:
        """All versions that are named."""
        named = [version for version, _ in self.shares]
        return (*named, *(version for version in self.shadow if version not in named))

    @property
    def answering(self) -> tuple[str, ...]:
        """Versions that take traffic."""
        return tuple(version for version, share in self.shares if share)

    def share(self, version: str) -> int:
        """Percent of the traffic that a version takes."""
        return dict(self.shares).get(version, 0)

    def choose(self, model: str, item: Item, among: Collection[str]) -> str | None:
        """The version that answers an item; None where none of those that could is there.

        Whoever the routing is sticky by stays with a version as long as the shares do. What a
        version that is not there would have taken goes to the others by their shares.
        """
        takes = [(version, share) for version, share in self.shares if share and version in among]
        if len(takes) < 2:
            return takes[0][0] if takes else None
        place = _place(_KEYS[self.sticky](model, item), sum(share for _, share in takes))
        for version, share in takes:
            place -= share
            if place < 0:
                return version
        raise AssertionError("a place lies within the sum of the shares")


def read_routing(model_directory: Path) -> Routing:
    """Reads `routing.yaml` of a model.

    Raises:
        PackageInvalid: it is missing or malformed, or its shares are not percentages of a whole.
    """
    path = model_directory / "routing.yaml"
    try:
        content: Any = yaml.safe_load(path.read_bytes())
        file = _RoutingFile.model_validate(content)
    except (OSError, ValueError, ValidationError, yaml.YAMLError) as error:
        raise PackageInvalid(f"{model_directory.name}/routing.yaml: {brief(error)}") from error
    return Routing(tuple(file.versions.items()), tuple(file.shadow), file.sticky)


def _by_client(model: str, item: Item) -> str:
    return f"{model}\0{item.caller.tenant}\0{item.caller.client_id}"


def _by_subject(model: str, item: Item) -> str:
    if not item.subject:
        return _by_client(model, item)
    return f"{model}\0{item.caller.tenant}\0\0{item.subject}"


def _by_request(model: str, item: Item) -> str:
    return f"{model}\0\0{item.request_id}"


_KEYS: dict[Stickiness, Callable[[str, Item], str]] = {
    "client": _by_client,
    "subject": _by_subject,
    "request": _by_request,
}


def _place(key: str, places: int) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % places

"""Moves versions through the stages of a repository, and keeps the books of it."""

from __future__ import annotations

import getpass
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.domain import Refused
from training.repository import EVENTS, ROUTING, Repository, check_known
from training.routing import (
    Routing,
    Signature,
    parse_routing,
    promoted,
    rolled_back,
    routing_text,
    with_first_version,
)

# What history has for the way back, and an event does not need.
PRIVATE = {"before"}


@dataclass(frozen=True, slots=True)
class Placing:
    """How a version enters a stage; ``share`` (percent) and ``shadow`` are production's."""

    share: int = 100
    shadow: bool = False
    skip_stages: bool = False


def sign(by: str | None, reason: str | None, now: datetime) -> Signature:
    """A signature with a new id; by default of the user that runs this."""
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Signature(id=uuid.uuid4().hex, at=at, by=by or _user(), reason=reason)


def promote(
    repository: Repository,
    name: str,
    version: str,
    stage: str,
    placing: Placing,
    signature: Signature,
) -> Routing:
    """Put a version into a stage and record it; return the routing as it is then.

    Doing it twice changes nothing. Raises InputError for an unknown version, Refused when the
    rules do not allow it, and StorageError when it cannot be written.
    """
    check_known(repository, name, version)

    def change(routing: Routing) -> Routing:
        return promoted(
            routing,
            version,
            stage,
            signature,
            share=placing.share,
            shadow=placing.shadow,
            skip_stages=placing.skip_stages,
        )

    return _edit(repository, name, change)


def rollback(repository: Repository, name: str, stage: str, signature: Signature) -> Routing:
    """Undo the last change of a stage, traffic included; return the routing as it is then.

    Raises Refused when there is none, or when a version that would serve again is gone.
    """

    def change(routing: Routing) -> Routing:
        changed = rolled_back(routing, stage, signature)
        there = set(repository.versions(name))
        serving = {*changed["versions"], *changed["shadow"], *changed["stages"].values()}
        if gone := serving - there:
            raise Refused(f"version {', '.join(sorted(gone))} of {name} is no longer there")
        return changed

    return _edit(repository, name, change)


def record_registration(
    repository: Repository,
    name: str,
    version: str,
    signature: Signature,
    facts: Mapping[str, Any],
) -> None:
    """Record a new package; a model's first one gets all traffic."""
    event = {**signature.fields(), "action": "register", "model": name, "to": version, **facts}
    _append(repository, name, [event])
    _edit(repository, name, lambda routing: with_first_version(routing, version, signature))


def read_routing(repository: Repository, name: str) -> Routing:
    """The present routing of a model."""
    return parse_routing(repository.read(name, ROUTING), _where(repository, name))


def _edit(repository: Repository, name: str, change: Callable[[Routing], Routing]) -> Routing:
    after: Routing = {}

    def edit(content: bytes | None) -> bytes | None:
        nonlocal after
        before = parse_routing(content, _where(repository, name))
        after = change(before)
        return None if after is before else routing_text(after)

    repository.edit(name, ROUTING, edit)
    # After the change, from the history that was written with it: should this process die here,
    # the next change records what is missing.
    _append(repository, name, [_event(name, entry) for entry in after["history"]])
    return after


def _event(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": name, **{key: of for key, of in entry.items() if key not in PRIVATE}}


def _append(repository: Repository, name: str, events: list[dict[str, Any]]) -> None:
    """Append the events that are not there yet; what is there is never changed."""

    def change(content: bytes | None) -> bytes | None:
        present = content or b""
        known = {_identity(line) for line in present.splitlines()}
        lines = [
            json.dumps(event, ensure_ascii=False) + "\n"
            for event in events
            if (event["id"], event["action"]) not in known
        ]
        return present + "".join(lines).encode() if lines else None

    repository.edit(name, EVENTS, change)


def _identity(line: bytes) -> tuple[object, object]:
    try:
        event = json.loads(line)
        return event["id"], event["action"]
    except (ValueError, KeyError, TypeError):
        # Somebody else's line: kept as it is.
        return None, None


def _where(repository: Repository, name: str) -> str:
    return repository.location(name, ROUTING)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"uid {os.getuid()}"

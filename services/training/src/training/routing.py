"""The rules of ``routing.yaml``: stages, shares of traffic, and the way back.

Plain mappings in and out, so that keys which others write there survive. ``history`` holds each
change with what was before it; serving ignores it, and ``stages`` too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from training.domain import InputError, Refused

STAGES = ("dev", "staging", "production")
PRODUCTION = STAGES[-1]
# As far back as rollback goes; events.jsonl has them all.
LONGEST_HISTORY = 100

Routing = dict[str, Any]


class _WithoutAnchors(yaml.SafeDumper):
    """What history repeats is written out: people read the file, too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """Who changes something, when (UTC, ISO 8601) and why; ``id`` tells changes apart."""

    id: str
    at: str
    by: str
    reason: str | None = None

    def fields(self) -> dict[str, Any]:
        """As they stand in history and events."""
        reason = {"reason": self.reason} if self.reason else {}
        return {"id": self.id, "at": self.at, "by": self.by, **reason}


def parse_routing(content: bytes | None, where: str) -> Routing:
    """Read ``routing.yaml``; an absent one is empty. Raises InputError when it is malformed."""
    try:
        routing = yaml.safe_load(content or b"{}")
        if not isinstance(routing, dict):
            raise InputError(f"{where}: not a mapping")
        shares = {str(version): int(share) for version, share in routing["versions"].items()}
    except KeyError:
        shares = {}
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError, ValueError) as exc:
        raise InputError(f"{where}: malformed ({' '.join(str(exc).split())})") from exc
    return {
        **routing,
        "versions": shares,
        "shadow": [str(version) for version in routing.get("shadow") or []],
        "stages": {stage: str(of) for stage, of in (routing.get("stages") or {}).items()},
        "history": list(routing.get("history") or []),
    }


def routing_text(routing: Mapping[str, Any]) -> bytes:
    """The content of ``routing.yaml``."""
    text = yaml.dump(
        dict(routing), Dumper=_WithoutAnchors, sort_keys=False, allow_unicode=True, width=100
    )
    return text.encode()


def production(routing: Mapping[str, Any]) -> str | None:
    """The version in production; where no stage says so, the one with the most traffic."""
    stated = routing["stages"].get(PRODUCTION)
    shares = routing["versions"]
    return stated or (max(shares, key=shares.__getitem__) if shares else None)


def with_first_version(routing: Routing, version: str, signature: Signature) -> Routing:
    """All traffic to a model's first version: there is none yet that it could be compared with."""
    if routing["versions"]:
        return routing
    entry = {**signature.fields(), "action": "first", "stage": PRODUCTION, "to": version}
    return {
        **routing,
        "versions": {version: 100},
        "stages": dict.fromkeys(STAGES, version),
        "history": [*routing["history"], entry],
    }


def promoted(
    routing: Routing,
    version: str,
    stage: str,
    signature: Signature,
    *,
    share: int = 100,
    shadow: bool = False,
    skip_stages: bool = False,
) -> Routing:
    """Put ``version`` into a stage; in production with all traffic, a share (percent), or copies.

    With a share, or as a shadow, it is not yet *the* production version. Returns ``routing`` itself
    when nothing changes. Raises Refused when it has not been in the stage before this one, or when
    nobody could take the rest of the traffic.
    """
    if not skip_stages:
        _check_order(routing, version, stage)
    changed, action = {**routing, "stages": {**routing["stages"], stage: version}}, "promote"
    if stage == PRODUCTION:
        # Stated, where it was only to be read off the shares.
        now = production(routing)
        if shadow:
            if routing["versions"].get(version):
                raise Refused(f"version {version} answers traffic: it cannot be a shadow, too")
            changed["shadow"] = sorted({*routing["shadow"], version})
            action = "shadow"
        else:
            changed["versions"] = _shares(routing["versions"], version, share)
            changed["shadow"] = [other for other in routing["shadow"] if other != version]
            action = "promote" if share == 100 else "canary"
        if action != "promote":
            changed["stages"] = {**routing["stages"], **({stage: now} if now else {})}
    if all(changed[part] == routing[part] for part in ("versions", "shadow", "stages")):
        return routing
    return _recorded(routing, changed, stage, signature, {"action": action, "to": version})


def rolled_back(routing: Routing, stage: str, signature: Signature) -> Routing:
    """Undo the last change of a stage that was not undone before.

    Raises Refused when there is none.
    """
    standing: list[dict[str, Any]] = []
    for entry in routing["history"]:
        if entry.get("stage") != stage:
            continue
        if entry.get("action") == "rollback":
            standing = [other for other in standing if other["id"] != entry.get("undoes")]
        elif "before" in entry:
            standing.append(entry)
    if not standing:
        raise Refused(f"{stage}: there is no earlier version to go back to")
    last = standing[-1]
    before = last["before"]
    stages = {name: of for name, of in routing["stages"].items() if name != stage}
    if before.get("version"):
        stages[stage] = before["version"]
    changed = {**routing, "stages": stages}
    if stage == PRODUCTION:
        changed |= {"versions": dict(before["versions"]), "shadow": list(before["shadow"])}
    what = {"action": "rollback", "to": before.get("version"), "undoes": last["id"]}
    return _recorded(routing, changed, stage, signature, what)


def _check_order(routing: Routing, version: str, stage: str) -> None:
    if stage == STAGES[0]:
        return
    earlier = STAGES[STAGES.index(stage) - 1]
    been = {entry.get("to") for entry in routing["history"] if entry.get("stage") == earlier}
    if version not in been | {routing["stages"].get(earlier)}:
        raise Refused(
            f"version {version} has not been in {earlier}: promote it there first, or --skip-stages"
        )


def _shares(now: Mapping[str, int], version: str, share: int) -> dict[str, int]:
    """Give ``version`` its share, and the others the rest as they shared it, in whole percents."""
    others = {other: of for other, of in now.items() if other != version and of > 0}
    if share == 100:
        return {version: 100}
    if not others:
        raise Refused(f"no other version can take the remaining {100 - share} %")
    left, total = 100 - share, sum(others.values())
    exact = {other: of * left / total for other, of in others.items()}
    whole = {other: int(of) for other, of in exact.items()}
    # The largest remainders get what rounding down left over.
    by_remainder = sorted(exact, key=lambda other: whole[other] - exact[other])
    for other in by_remainder[: left - sum(whole.values())]:
        whole[other] += 1
    return {other: of for other, of in whole.items() if of} | {version: share}


def _recorded(
    routing: Routing, changed: Routing, stage: str, signature: Signature, what: dict[str, Any]
) -> Routing:
    before: dict[str, Any] = {"version": routing["stages"].get(stage)}
    after: dict[str, Any] = {}
    if stage == PRODUCTION:
        before["version"] = production(routing)
        before |= {"versions": routing["versions"], "shadow": routing["shadow"]}
        after = {"versions": changed["versions"], "shadow": changed["shadow"]}
    entry = {
        **signature.fields(),
        "stage": stage,
        "from": before["version"],
        **what,
        **after,
        "before": before,
    }
    return {**changed, "history": [*routing["history"], entry][-LONGEST_HISTORY:]}

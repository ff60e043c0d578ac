"""``weir-train promote``, ``rollback``, ``stages`` and ``models``: which version serves."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from training.domain import InputError
from training.repository import MANIFEST, Repository, known_versions, open_repository
from training.routing import PRODUCTION, STAGES, Routing, production
from training.stages import Placing, promote, read_routing, rollback, sign
from training.terminal import terminal_progress


class Stage(StrEnum):
    """The stages as options."""

    DEV, STAGING, PRODUCTION = STAGES


Location = Annotated[
    str,
    typer.Option(
        "--repository",
        envvar="WEIR_MODEL_REPOSITORY",
        help="The model repository: a directory or s3://bucket/prefix.",
    ),
]
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model.")]
By = Annotated[
    str | None, typer.Option(help="Who does it, for the record; by default the user's name.")
]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.")]
DEFAULT_REPOSITORY = "deploy/models"


def promote_command(
    name: ModelName,
    version: Annotated[str, typer.Argument(help="A version that register wrote.")],
    to: Annotated[Stage, typer.Option("--to", help="The stage that it enters.")],
    repository: Location = DEFAULT_REPOSITORY,
    share: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Production: percent of the traffic; the others keep the rest (a canary).",
        ),
    ] = 100,
    shadow: Annotated[
        bool,
        typer.Option("--shadow", help="Production: a copy of the traffic, and answers to nobody."),
    ] = False,
    skip_stages: Annotated[
        bool, typer.Option("--skip-stages", help="Without having been in the stage before.")
    ] = False,
    by: By = None,
    reason: Reason = None,
) -> None:
    """Put a version into a stage: dev, then staging, then production, which gets the traffic.

    weir-train promote sentiment 2 --to production --share 10

    routing.yaml is replaced at once, whoever else edits it; events.jsonl beside it says who did
    what. Exit code 1: the rules do not allow it, or it could not be written.
    """
    if to is not Stage.PRODUCTION and (shadow or share != 100):
        raise InputError("--share and --shadow are about production: add --to production")
    if shadow and share != 100:
        raise InputError("give --share or --shadow, not both")
    after = promote(
        open_repository(repository),
        name,
        version,
        to.value,
        Placing(share, shadow, skip_stages),
        sign(by, reason, datetime.now(UTC)),
    )
    terminal_progress().say(f"{name} {version} is in {to.value}; {_traffic(after)}")


def rollback_command(
    name: ModelName,
    stage: Annotated[Stage, typer.Option(help="The stage that goes back.")] = Stage.PRODUCTION,
    repository: Location = DEFAULT_REPOSITORY,
    by: By = None,
    reason: Reason = None,
) -> None:
    """Go back to what a stage had before its last change, shares and shadows included.

    weir-train rollback sentiment

    Given again, it goes one change further back. Exit code 1: there is no earlier one.
    """
    after = rollback(
        open_repository(repository), name, stage.value, sign(by, reason, datetime.now(UTC))
    )
    version = production(after) if stage.value == PRODUCTION else after["stages"].get(stage.value)
    terminal_progress().say(f"{name} {stage.value}: back to {version or 'none'}; {_traffic(after)}")


def stages_command(name: ModelName, repository: Location = DEFAULT_REPOSITORY) -> None:
    """Show a model's versions: their stages, traffic and figures."""
    opened = open_repository(repository)
    versions = known_versions(opened, name)
    routing = read_routing(opened, name)
    table = _table("version", "stages", "traffic", "made", "accuracy")
    for version in versions:
        made, accuracy = _described(opened, name, version)
        table.add_row(
            version, _stages_of(routing, version), _share(routing, version), made, accuracy
        )
    _show(table)


def models_command(repository: Location = DEFAULT_REPOSITORY) -> None:
    """Show the models of a repository, and the version in each stage."""
    opened = open_repository(repository)
    table = _table("model", "versions", *STAGES, "traffic")
    for name in opened.models():
        routing = read_routing(opened, name)
        staged = {**routing["stages"], PRODUCTION: production(routing)}
        table.add_row(
            name,
            str(len(opened.versions(name))),
            *(staged.get(stage) or "–" for stage in STAGES),
            _traffic(routing),
        )
    _show(table)


def _described(repository: Repository, name: str, version: str) -> tuple[str, str]:
    """When a version was made, and its accuracy on each set."""
    try:
        content = yaml.safe_load(repository.read(name, f"{version}/{MANIFEST}") or b"")
        metrics = content.get("metrics") or {}
        figures = [f"{of['accuracy']:.4f} {title}" for title, of in metrics.items()]
        return str(content.get("created_at", "–")), ", ".join(figures)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return "–", "model.yaml is malformed"


def _stages_of(routing: Routing, version: str) -> str:
    stages = {**routing["stages"], PRODUCTION: production(routing)}
    return ", ".join(stage for stage in STAGES if stages.get(stage) == version) or "–"


def _share(routing: Routing, version: str) -> str:
    share = routing["versions"].get(version, 0)
    return "shadow" if version in routing["shadow"] else f"{share} %" if share else "–"


def _traffic(routing: Routing) -> str:
    shares = [f"{share} % to {version}" for version, share in routing["versions"].items()]
    copies = [f"a copy to {version}" for version in routing["shadow"]]
    return "traffic: " + (", ".join(shares + copies) or "none")


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _show(table: Table) -> None:
    Console().print(table)

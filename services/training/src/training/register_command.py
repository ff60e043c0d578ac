"""``weir-train register``: an exported model becomes an immutable package of a repository."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from training.package import check_name
from training.progress import Progress
from training.repository import Repository, open_repository
from training.stages import sign
from training.stages_command import DEFAULT_REPOSITORY, By, Location, Reason
from training.terminal import terminal_progress
from training.tracking import tracked_run
from training.tracking_option import NoTracking
from training.training_record import finished_model

Name = Annotated[str, typer.Option(help="The model's name, as callers will ask for it.")]
Version = Annotated[str, typer.Option(help="A version that does not exist: it is immutable.")]
Margin = Annotated[
    float,
    typer.Option(
        min=0, max=100, help="Points of accuracy that it may be below the version in production."
    ),
]
Unscored = Annotated[
    str | None,
    typer.Option(
        metavar="WHY",
        help="Register although the version in production cannot be asked; kept in the package.",
    ),
]


def register_command(
    run: Annotated[Path, typer.Argument(help="A directory that fit wrote and export filled.")],
    dev: Annotated[
        Path,
        typer.Option(
            help="Rows never trained on, for comparison and reference: file or prepared data."
        ),
    ],
    name: Name,
    version: Version,
    repository: Location = DEFAULT_REPOSITORY,
    margin: Margin = 0.5,
    unscored: Unscored = None,
    by: By = None,
    reason: Reason = None,
    no_tracking: NoTracking = False,
) -> None:
    """Write the package of an exported model, if it earns its place.

    weir-train register .weir/run --dev .weir/data --name sentiment --version 2

    Refused, with exit code 1 and nothing visible: a model that failed its parity or other checks of
    export, a package that does not give its own golden answers, and a model that is worse than the
    version in production by more than the margin. Both are asked the same rows for that. A model's
    first version takes all traffic; a later one none, until it is promoted.
    """
    check_name(name, version)
    run_register(
        run,
        dev,
        open_repository(repository),
        name,
        version,
        terminal_progress(),
        margin=margin,
        unscored=unscored,
        by=by,
        reason=reason,
        track=not no_tracking,
    )


def run_register(
    run: Path,
    dev: Path,
    repository: Repository,
    name: str,
    version: str,
    progress: Progress,
    *,
    margin: float,
    unscored: str | None,
    by: str | None,
    reason: str | None,
    track: bool,
) -> None:
    """Register and say where the package is; ``track`` keeps it in the tracking store."""
    # Imported late: a typing error should not wait for onnxruntime.
    from training.register import Candidate, register

    now = datetime.now(UTC)
    location = register(
        run,
        dev,
        repository,
        Candidate(name, version, margin, unscored),
        sign(by, reason, now),
        now,
        progress.say,
    )
    progress.say(f"wrote {location}")
    fitted = finished_model(run).parent
    with (
        tracked_run(
            name, fitted.name, progress.say, beside=fitted, go_on=True, enabled=track
        ) as tracked,
        repository.package(name, version) as package,
    ):
        tracked.artefact(package, f"package-{version}")

"""The option that switches tracking off, for every command that tracks."""

from __future__ import annotations

from typing import Annotated

import typer

NoTracking = Annotated[
    bool,
    typer.Option(
        "--no-tracking",
        envvar="WEIR_NO_TRACKING",
        help="Keep nothing in MLflow; else in .weir/training/mlflow.db or at MLFLOW_TRACKING_URI.",
    ),
]

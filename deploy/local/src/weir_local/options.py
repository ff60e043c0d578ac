"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path, typer.Option(envvar="WEIR_HOME", help="Directory that holds all state.")
]

"""Leaves, of a model repository, the versions that its routing.yaml serves or shadows."""

import shutil
import sys
from pathlib import Path

import yaml


def main() -> None:
    """Works on the directory that the command line names."""
    for routing in Path(sys.argv[1]).glob("*/routing.yaml"):
        content = yaml.safe_load(routing.read_text())
        served = {*content.get("versions", {}), *(content.get("shadow") or [])}
        for version in routing.parent.iterdir():
            if version.is_dir() and version.name not in served:
                shutil.rmtree(version)


if __name__ == "__main__":
    main()

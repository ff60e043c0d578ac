"""`python -m dashboards_source [--check]`: renders the dashboards; copies them into the chart."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards_source.drift import drift
from dashboards_source.gateway import gateway
from dashboards_source.inference import inference
from dashboards_source.log import log
from dashboards_source.overview import overview
from dashboards_source.service_levels import service_levels

OBSERVABILITY = Path(__file__).resolve().parent.parent
CHART_FILES = OBSERVABILITY.parents[1] / "helm" / "weir" / "files"
DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "drift": drift,
    "gateway": gateway,
    "inference": inference,
    "log": log,
    "overview": overview,
    "service-levels": service_levels,
}


def wanted() -> dict[Path, str]:
    """Every file that is made, with its content."""
    files: dict[Path, str] = {}
    for name, make in DASHBOARDS.items():
        content = JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
        for folder in (OBSERVABILITY / "dashboards", CHART_FILES / "dashboards"):
            files[folder / f"{name}.json"] = content
    for source in sorted((OBSERVABILITY / "alerts").glob("*.yaml")):
        # Helm reads nothing outside of its chart.
        files[CHART_FILES / "alerts" / source.name] = source.read_text()
    return files


def main() -> int:
    """Writes what differs, or only tells it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where it differs")
    check = parser.parse_args().check
    files = wanted()
    differs = [file for file, text in files.items() if _read(file) != text]
    differs += [
        file
        for folder in {file.parent for file in files}
        for file in folder.glob("*.*")
        if file not in files
    ]
    for file in differs:
        sys.stdout.write(
            f"{file.name} in {file.parent.name} differs from what make dashboards makes\n"
        )
        if not check and file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(files[file])
        elif not check:
            file.unlink()
    return 1 if check and differs else 0


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


if __name__ == "__main__":
    sys.exit(main())

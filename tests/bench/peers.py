"""Weir beside LitServe, BentoML and MLServer: `make bench-peers`; the README tells how to read it.

Each serves the same model package, in the best settings that a search of its own finds, without
tokens, quotas, durable events and metrics; Weir has all of them on. All get the same texts from the
same load generator, in turns. It takes half an hour, `--quick` three minutes.
"""

import argparse
import io
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from comparison import Bench
from machine_facts import package_facts
from peer_report import write_results
from peer_schedule import FULL_EXTENT, QUICK_EXTENT
from peer_servers.text_model import Package
from progress import Progress
from rich.console import Console
from texts import texts_of

from testkit.platform import running_platform

ROOT = Path(__file__).resolve().parents[2]
_TEXTS = {"short": 768, "mix": 256, "long": 256}
"""As many as a window gets through, more or less: all contestants and the ceiling get the same."""
_MINUTES, _QUICK_MINUTES = 28.0, 2.5


def main() -> None:
    """Reads the command line, prints the verdicts and writes three files."""
    options = _options()
    # Also into a file, line by line.
    console = Console(soft_wrap=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # What is started here is stopped on the way out.
    signal.signal(signal.SIGTERM, _stop)
    _allow_many_connections()
    manifest = yaml.safe_load((options.package / "model.yaml").read_text())
    extent = QUICK_EXTENT if options.quick else FULL_EXTENT
    minutes = options.minutes or (_QUICK_MINUTES if options.quick else _MINUTES)
    texts = {kind: texts_of(kind, options.data)[: _TEXTS[kind]] for kind in extent.kinds}
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as name:
        directory = Path(name)
        models = _repository_of(options.package, manifest, directory / "models")
        package = _package(options.package, manifest)
        bench = Bench(package, extent, minutes, texts, Progress(console), directory)
        with running_platform(directory / "home", models) as platform:
            facts, judged = bench.run(platform)
    facts |= {
        "quick": options.quick,
        "package": package_facts(package, manifest),
        "data": "SST-2 and IMDB" if options.data else "made texts of like lengths",
    }
    write_results(options.output, facts, bench.turns, judged)
    for one in judged:
        console.print(one.line(), highlight=False)
    console.print(f"results.json, results.md and results.svg are in {options.output}")


def _stop(number: int, _: object) -> None:
    # Once: a second signal would interrupt the cleaning up.
    signal.signal(number, signal.SIG_IGN)
    sys.exit("stopped")


def _package(directory: Path, manifest: dict[str, Any]) -> Package:
    inputs = manifest["inputs"]
    return Package(
        str(directory.resolve()),
        manifest["labels"],
        inputs["max_tokens"],
        inputs.get("truncation", "head"),
        manifest.get("temperature", 1.0),
    )


def _repository_of(package: Path, manifest: dict[str, Any], root: Path) -> Path:
    """A repository whose only model is the package, under the name that /predict takes."""
    version = str(manifest["version"])
    model = root / manifest["name"]
    shutil.copytree(package, model / version)
    (model / "routing.yaml").write_text(yaml.safe_dump({"versions": {version: 100}}))
    return root


def _allow_many_connections() -> None:
    """For this process and all that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def _newest_package() -> Path:
    versions = (ROOT / "deploy" / "models" / "sentiment").glob("*/model.yaml")
    return max((file.parent for file in versions), key=lambda path: int(path.name))


def _data() -> Path | None:
    named = os.environ.get("WEIR_BENCH_DATA")
    beside = ROOT.parent / "shared" / "data"
    return Path(named) if named else beside if beside.is_dir() else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=_newest_package(), help="model package")
    parser.add_argument(
        "--data",
        type=Path,
        default=_data(),
        help="directory of SST-2 and IMDB (WEIR_BENCH_DATA); without any, texts are made",
    )
    parser.add_argument("--quick", action="store_true", help="a rehearsal of three minutes")
    parser.add_argument("--minutes", type=float, help=f"that it may take ({_MINUTES:g})")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench-peers")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""How often drift is called where there is none, and how often it is found where there is some.

    make bench BENCH=drift_quality ARGS="--data DIR --peers --quick"

DIR holds beijing-air, sst2, reviews and imdb; without it only made rows are used. The first run
lets the sentiment model answer some thousand texts and keeps that in --scratch. `--peers` puts
Evidently and NannyML, at their defaults and in environments of their own, beside it; `--quick` is a
rehearsal of three minutes whose figures are coarse. Exit code 1 where a bound is missed.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from drift_air import air
from drift_cases import stations
from drift_made import cost, no_drift, other_shifts, shift
from drift_peers import PEERS, Peers
from drift_results import Result, show, write_json, write_picture
from drift_reviews import accuracy, mixes
from drift_texts import answered_texts

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("cost", "power", "texts", "accuracy", "air", "null")


def main() -> None:
    """Reads the command line, runs what can be run, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="directory of the data sets")
    parser.add_argument("--scratch", type=Path, default=ROOT / ".venvs" / "drift-texts")
    parser.add_argument("--quick", action="store_true", help="few windows: a rehearsal")
    parser.add_argument("--peers", action="store_true", help="run Evidently and NannyML, too")
    parser.add_argument("--environments", type=Path, help="where the peers are installed already")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="these parts alone")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--picture", type=Path, help="SVG file to draw the results into")
    arguments = parser.parse_args()
    environments = arguments.environments or ROOT / ".venvs"
    if arguments.peers and arguments.environments is None:
        program = ROOT / "requirements" / "environments.py"
        names = [f"peer-{peer}" for peer in PEERS]
        subprocess.run([sys.executable, program, "sync", *names], check=True)
    results: list[Result] = []
    with Peers(environments if arguments.peers else None, 1 if arguments.quick else 10) as peers:
        for found in parts(arguments, peers):
            results += found
            if arguments.json:
                write_json(results, arguments.json)
    show(results)
    if arguments.picture:
        write_picture(results, arguments.picture)
    sys.exit(0 if all(result.ok for result in results) else 1)


def parts(arguments: argparse.Namespace, peers: Peers) -> Iterator[list[Result]]:
    """All parts, or those that are asked for; parts without data are left out."""
    wanted = set(arguments.only or PARTS)
    data: Path | None = arguments.data
    quick = arguments.quick
    windows, repeats = (50, 20) if quick else (1000, 100)
    if "cost" in wanted:
        yield cost()
    if "power" in wanted:
        yield shift(1000, 0.2, repeats, peers)
        yield shift(5000, 0.1, repeats, peers)
        yield other_shifts(repeats, peers)
    if data is not None and wanted & {"texts", "accuracy"}:
        few = {"home": 2500, "most": 200} if quick else {}
        texts = answered_texts(data, arguments.scratch, **few)
        if "texts" in wanted:
            yield mixes(texts, repeats, peers)
        if "accuracy" in wanted:
            yield accuracy(texts, peers)
    if data is not None and "air" in wanted:
        yield air(stations(data / "beijing-air", 2 if quick else None), peers)
    if "null" in wanted:
        for rows in (100, 1000, 10_000):
            yield no_drift(rows, windows, peers)


if __name__ == "__main__":
    main()

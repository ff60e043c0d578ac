"""How fast drift takes rows: a million rows of 20 signals on one core, and the memory above them.

    tests/bench/drift_throughput.py --rows 1000000 --json result.json

Columns are made first and not measured. Exit code 1 where a bound is missed.
"""

import os

# Before numpy reads it: one core is what is measured.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from drift import signals
from drift.signal_records import SIGNALS, records_of
from drift.signals import CategoryColumn, Column, Group, Kind, RatioColumn, SignalWindow, Watched
from drift.vector_reservoir import UNKNOWN, VectorRows

SECONDS, MEGABYTES, STATE_MEGABYTES = 3.0, 64.0, 1.0
DIMENSIONS = 64
ROUNDS = 3


def columns(rows: int) -> dict[Watched, Column]:
    """Twelve numbers, three ratios, three categories, repeated inputs and a projection."""
    random = np.random.default_rng(1)
    made: dict[Watched, Column] = {
        signals.feature(f"number {place}"): random.standard_normal(rows).astype(np.float32)
        for place in range(12)
    }
    for place in range(3):
        tokens = random.integers(1, 60, rows).astype(np.float64)
        unknown = random.binomial(tokens.astype(np.int64), 0.01).astype(np.float64)
        made[Watched(f"ratio {place}", Group.TEXT, Kind.RATIO)] = RatioColumn(unknown, tokens)
    names = np.array([f"label {place}" for place in range(50)], object)
    for place in range(3):
        labels = names[random.integers(0, len(names), rows)].tolist()
        made[Watched(f"category {place}", Group.OUTPUT, Kind.CATEGORY)] = CategoryColumn(labels)
    keys = random.integers(0, 2**64, rows, np.uint64, endpoint=False)
    made[signals.DUPLICATES] = keys
    made[signals.PROJECTION] = VectorRows(
        keys=random.integers(0, 2**64, rows, np.uint64, endpoint=False),
        values=random.integers(-127, 128, (rows, DIMENSIONS), np.int8),
        scales=np.full(rows, 0.01, np.float32),
        confidences=np.full(rows, 0.9, np.float32),
        outcomes=np.full(rows, UNKNOWN, np.int8),
    )
    return made


def measure(rows: int) -> dict[str, float]:
    """Seconds of processor time, megabytes above the batch, and megabytes of the stored window."""
    batch = columns(rows)
    seconds = []
    window = SignalWindow()
    for _ in range(ROUNDS):
        window = SignalWindow()
        began = time.process_time()
        window.update(rows, batch)
        seconds.append(time.process_time() - began)
    stored = len(SIGNALS.dump_json(records_of(window)))
    tracemalloc.start()
    SignalWindow().update(rows, batch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "rows": rows,
        "signals": len(batch),
        "seconds": round(min(seconds), 3),
        "megabytes_above_the_batch": round(peak / 1e6, 1),
        "megabytes_of_state": round(stored / 1e6, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    found = measure(arguments.rows)
    # Of fewer rows the same share of the time is allowed.
    bounds = {
        "seconds": SECONDS * arguments.rows / 1_000_000,
        "megabytes_above_the_batch": MEGABYTES,
        "megabytes_of_state": STATE_MEGABYTES,
    }
    table = Table("figure", "found", "at most")
    for name, value in found.items():
        table.add_row(name, f"{value:g}", f"{bounds[name]:g}" if name in bounds else "")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found[name] > bound for name, bound in bounds.items()))


if __name__ == "__main__":
    sys.exit(main())

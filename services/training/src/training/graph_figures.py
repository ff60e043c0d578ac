"""What is measured of a finished model's graphs: answers, their steadiness, and speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.encoded_rows import EncodedRow
from training.exported import Batching
from training.float_noise import with_float_noise
from training.graph_parity import Answers
from training.graph_scoring import ROWS_PER_BATCH, TOKENS_PER_BATCH, cores, graph_logits
from training.graph_speed import latency, throughput
from training.probabilities import Logits
from training.progress import Progress
from training.text_classifier import TextClassifier
from training.torch_scoring import torch_logits

# How many imitated CPUs the quantised graph is asked on, and on how many rows of each source.
NOISE_SEEDS = 4
NOISE_ROWS = 100
# Rows whose speed is measured, from all lengths.
SPEED_ROWS = 240


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: of the wall, and of this thread's processor time."""

    wall: Callable[[], float] = time.perf_counter
    thread: Callable[[], float] = time.thread_time


def ask(
    model: TextClassifier,
    graphs: Mapping[str, Path],
    rows: Sequence[EncodedRow],
    progress: Progress,
    *,
    independent: bool,
) -> Answers:
    """Logits to the rows, of torch and of the graphs; the last graph is the one to be served.

    Texts share a run of it only where its answers are ``independent``.
    """
    with progress.task("asking torch", len(rows), "tokens") as advance:
        of_torch = torch_logits(
            model,
            rows,
            rows_per_batch=ROWS_PER_BATCH,
            tokens_per_batch=TOKENS_PER_BATCH,
            device=torch.device("cpu"),
            advance=advance,
        )
    of_graph = {
        name: graph_logits(
            path,
            rows,
            independent=name == "fp32" or independent,
            progress=progress,
            title=f"asking {name}",
        )
        for name, path in graphs.items()
    }
    return Answers(of_torch, of_graph["fp32"], list(of_graph.values())[-1])


def noise(
    path: Path,
    rows: Sequence[EncodedRow],
    served: Logits,
    progress: Progress,
    *,
    independent: bool,
) -> dict[str, dict[str, int]]:
    """Of the first rows of each source: how many labels depend on a CPU's float arithmetic."""
    places = [
        place
        for source in sorted({row.source for row in rows})
        for place in [at for at, row in enumerate(rows) if row.source == source][:NOISE_ROWS]
    ]
    asked = [rows[place] for place in places]
    labels = served[places].argmax(axis=1)
    changed = np.zeros(len(asked), dtype=bool)
    for seed in range(NOISE_SEEDS):
        noisy = graph_logits(
            with_float_noise(path, seed),
            asked,
            independent=independent,
            progress=progress,
            title=f"imitating another CPU ({seed + 1} of {NOISE_SEEDS})",
        )
        changed |= labels != noisy.argmax(axis=1)
    return {
        source: {
            "noise_rows": sum(row.source == source for row in asked),
            "noise_changed_labels": sum(
                bool(moved)
                for row, moved in zip(asked, changed, strict=True)
                if row.source == source
            ),
        }
        for source in {row.source for row in asked}
    }


def speed(
    graphs: Mapping[str, Path],
    batching: Batching,
    rows: Sequence[EncodedRow],
    model: TextClassifier,
    max_tokens: int,
    clocks: Clocks,
) -> dict[str, Any]:
    """Latency by length on one thread, and throughput over dev rows on all cores."""
    ids = [row.ids for row in rows[:: max(1, len(rows) // SPEED_ROWS)]]
    items = dict.fromkeys(graphs, batching.max_items)
    if not batching.independent:
        items["int8"] = 1
    return {
        "latency": latency(graphs, max_tokens, int(model.config.vocab_size), clocks.thread),
        "throughput": throughput(
            {name: (path, items[name]) for name, path in graphs.items()},
            dict.fromkeys(graphs, ids),
            cores(),
            clocks.wall,
        ),
        "rows": len(ids),
        "cores": cores(),
    }

"""Logits of many rows from a graph or a torch model, as fast as they can be had."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx

from training.batches import sorted_batches
from training.encoded_rows import EncodedRow
from training.onnx_classifier import open_session, run_logits
from training.probabilities import Logits
from training.progress import Progress

# Batches of similar length: larger ones gain nothing on a core's cache.
ROWS_PER_BATCH = 16
TOKENS_PER_BATCH = 2048
DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul")


def graph_logits(
    graph: Path | bytes,
    rows: Sequence[EncodedRow],
    *,
    independent: bool,
    progress: Progress,
    title: str = "scoring a graph",
) -> Logits:
    """Run ``graph`` over all rows: float32 ``[rows, labels]`` in their order.

    Rows share a run only where their answers are ``independent`` of each other. Every core takes
    whole runs of one thread each: that is faster than to share them.
    """
    lengths = [len(row.ids) for row in rows]
    batches = sorted_batches(
        lengths, rows=ROWS_PER_BATCH if independent else 1, tokens=TOKENS_PER_BATCH
    )
    session = open_session(graph)

    def run(batch: list[int]) -> Logits:
        return run_logits(session, [rows[index].ids.tolist() for index in batch])

    # The longest first: the last runs are short, and no core waits long for another.
    batches.reverse()
    parts: list[Logits] = []
    pool = ThreadPoolExecutor(cores())
    try:
        with progress.task(title, len(rows), "tokens") as advance:
            for batch, part in zip(batches, pool.map(run, batches), strict=True):
                parts.append(part)
                advance(len(batch), amount=sum(lengths[index] for index in batch))
    finally:
        # Who stops the command does not wait for thousands of runs.
        pool.shutdown(cancel_futures=True)
    logits = np.empty((len(rows), parts[0].shape[1]), np.float32)
    logits[[index for batch in batches for index in batch]] = np.concatenate(parts)
    return logits


def is_dynamic(graph: Path) -> bool:
    """Whether a graph scales its activations at run time, over all rows of a run."""
    nodes = onnx.load(str(graph), load_external_data=False).graph.node
    return any(node.op_type in DYNAMIC for node in nodes)


def cores() -> int:
    """The cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

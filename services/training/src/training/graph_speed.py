"""How fast graphs are on the machine at hand: all of them in one run, taking turns.

Only ratios of one run mean anything: machines differ, and have other work.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.batches import sorted_batches
from training.onnx_classifier import open_session, run_logits

Clock = Callable[[], float]
Ids = npt.NDArray[np.int32]

LENGTHS = (16, 64, 256)
ITEMS = (1, 8)
ROUNDS = 5
# Texts are repeated within a round until about so many tokens were run: short ones are too quick
# for a clock.
TOKENS_PER_ROUND = 512


def latency(
    graphs: Mapping[str, Path], max_tokens: int, vocabulary: int, clock: Clock
) -> list[dict[str, float | int]]:
    """Milliseconds of one run on one thread, the median of some rounds, for each length and batch.

    ``clock`` counts seconds; with ``time.thread_time`` other work on the machine counts less.
    """
    sessions = {name: open_session(path) for name, path in graphs.items()}
    rng = np.random.default_rng(0)
    lines: list[dict[str, float | int]] = []
    for tokens in sorted({min(length, max_tokens) for length in LENGTHS}):
        for items in ITEMS:
            texts = list(rng.integers(0, vocabulary, (items, tokens), dtype=np.int32))
            times = max(1, TOKENS_PER_ROUND // (items * tokens))
            taken: dict[str, list[float]] = {name: [] for name in sessions}
            # One more round than is counted: the first one warms up.
            for _ in range(ROUNDS + 1):
                for name, session in sessions.items():
                    start = clock()
                    for _ in range(times):
                        run_logits(session, texts)
                    taken[name].append(1000 * (clock() - start) / times)
            medians = {f"{name}_ms": statistics.median(of[1:]) for name, of in taken.items()}
            lines.append({"tokens": tokens, "items": items,
                          **{name: round(ms, 3) for name, ms in medians.items()}})  # fmt: skip
    return lines


def throughput(
    graphs: Mapping[str, tuple[Path, int]],
    rows: Mapping[str, Sequence[Ids]],
    cores: int,
    clock: Clock,
    rounds: int = 3,
) -> dict[str, dict[str, Any]]:
    """Texts a second on all cores, one session and one thread for each, over real rows.

    ``graphs`` has a path and how many items may share a run; ``rows`` its token ids, by the same
    name. Batches hold rows of similar length. ``clock`` counts seconds of the wall. The ratio is
    to the first graph's, round by round.
    """
    pools = {name: [open_session(path) for _ in range(cores)] for name, (path, _) in graphs.items()}
    work = {
        name: [[rows[name][index] for index in indices]
               for indices in sorted_batches([len(row) for row in rows[name]],
                                             rows=items, tokens=2048)]
        for name, (_, items) in graphs.items()
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in graphs}
    with ThreadPoolExecutor(cores) as threads:
        for _ in range(rounds):
            for name, sessions in pools.items():
                start = clock()
                # Every core takes every so-manieth batch: the same mix of lengths for each.
                list(threads.map(_run_all, sessions,
                                 [work[name][core::cores] for core in range(cores)]))  # fmt: skip
                rates[name].append(len(rows[name]) / max(clock() - start, 1e-9))
    first = rates[next(iter(rates))]
    return {
        name: {
            "texts_per_second": round(statistics.median(of), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(of, first, strict=True)), 3),
        }
        for name, of in rates.items()
    }


def _run_all(session: Any, batches: Sequence[Sequence[Ids]]) -> None:
    for batch in batches:
        run_logits(session, batch)

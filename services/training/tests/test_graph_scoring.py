from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from training.encoded_rows import EncodedRow
from training.graph_scoring import ROWS_PER_BATCH, cores, graph_logits
from training.progress import Advance, Progress
from training.terminal import terminal_progress

GRAPH = Path("never-opened.onnx")
LENGTHS = [5, 2, 9, 2, 7, 3] * 30


class Session:
    """Answers each row with the sum of its ids and its length; notes the shapes it was asked."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.gate: threading.Event | None = None

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        self.shapes.append(inputs["input_ids"].shape)
        if self.gate is not None and len(self.shapes) > 1:
            assert self.gate.wait(60)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        return [np.stack([(ids * mask).sum(axis=1), mask.sum(axis=1)], axis=1)]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setattr("training.graph_scoring.open_session", lambda graph: session)
    return session


def make_rows() -> list[EncodedRow]:
    return [
        EncodedRow(np.full(length, place, np.int32), 0, "source")
        for place, length in enumerate(LENGTHS)
    ]


@pytest.mark.parametrize("alone", [True, False])
def test_answers_come_in_the_order_of_the_rows(session: Session, alone: bool) -> None:
    logits = graph_logits(GRAPH, make_rows(), independent=not alone, progress=terminal_progress())

    assert logits[:, 0].tolist() == [place * length for place, length in enumerate(LENGTHS)]
    assert logits[:, 1].tolist() == LENGTHS
    assert max(shape[0] for shape in session.shapes) == (1 if alone else ROWS_PER_BATCH)


def test_alone_means_unpadded(session: Session) -> None:
    graph_logits(GRAPH, make_rows(), independent=False, progress=terminal_progress())

    assert sorted(width for _, width in session.shapes) == sorted(LENGTHS)


def test_who_stops_it_does_not_wait_for_the_rest(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = session.gate = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            gate.set()
            super().shutdown(wait=wait)

    class Stopping(Progress):
        @contextmanager
        def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
            def advance(steps: int = 1, amount: int = 0, note: str = "") -> None:
                raise KeyboardInterrupt

            yield advance

    monkeypatch.setattr("training.graph_scoring.ThreadPoolExecutor", Pool)
    progress = Stopping(Console(), time.monotonic)

    with pytest.raises(KeyboardInterrupt):
        graph_logits(GRAPH, make_rows(), independent=False, progress=progress)

    # The first one, and those that were under way.
    assert len(session.shapes) <= 1 + cores()

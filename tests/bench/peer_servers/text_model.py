"""The model package as a peer's users would load it: ONNX Runtime, tokenizers and numpy alone.

Every peer and the ceiling use this code, so that what differs between them is the server.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

_SLACK, _ALWAYS = 1.2, 2
"""A group's longest text is at most so many times its shortest, or so many tokens longer."""
_HEAD_SHARE = 0.25
"""Of the tokens that `head_tail` keeps, those of the head."""


@dataclass(frozen=True)
class Package:
    """What a server must know about the model package."""

    directory: str
    labels: list[str]
    max_tokens: int
    truncation: str = "head"
    temperature: float = 1.0


@dataclass(frozen=True)
class Settings:
    """How a peer serves; each peer takes what it knows, `peer_settings.py` says what was tried."""

    threads: int = 1
    """Of one run of ONNX Runtime."""
    workers: int = 1
    """Processes that run the model; 0 runs it in the server's own."""
    pool: int = 1
    """Threads of one process that run the model at the same time."""
    batch: int = 1
    """Most requests in one dynamic batch; 1 turns batching off."""
    window_ms: float = 0.0
    """Longest wait for a batch to fill."""
    order: str = "sorted"
    """How a batch runs: `sorted` groups texts of like length, `padded` takes it whole."""
    fast_queue: bool = True
    """LitServe: ZeroMQ between its processes."""
    api_servers: int = 1
    """LitServe: processes that speak HTTP."""


def from_environment() -> tuple[Package, Settings]:
    """What the benchmark asks a server for."""
    return (
        Package(**json.loads(os.environ["BENCH_PACKAGE"])),
        Settings(**json.loads(os.environ["BENCH_SETTINGS"])),
    )


class TextModel:
    """Scores texts; safe to use from several threads at once."""

    def __init__(self, package: Package, threads: int) -> None:
        self._package = package
        directory = Path(package.directory)
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.no_padding()
        if package.truncation == "head_tail":
            self._tokenizer.no_truncation()
        else:
            side = "left" if package.truncation == "tail" else "right"
            self._tokenizer.enable_truncation(package.max_tokens, direction=side)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def encode(self, text: str) -> list[int]:
        """Token ids, cut to the package's limit."""
        ids: list[int] = self._tokenizer.encode(text).ids
        most = self._package.max_tokens
        if len(ids) <= most:
            return ids
        head = int(most * _HEAD_SHARE)
        return ids[:head] + ids[head - most :]

    def feeds(self, rows: Sequence[list[int]]) -> dict[str, npt.NDArray[np.int64]]:
        """The graph's inputs for one batch, padded to its longest row."""
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        feeds = {"input_ids": ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = mask
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(ids)
        return feeds

    def logits(self, feeds: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """The model itself: [texts, labels]."""
        (logits,) = self._session.run(["logits"], feeds)
        result: npt.NDArray[np.float32] = logits
        return result

    def run(self, rows: Sequence[list[int]]) -> npt.NDArray[np.float64]:
        """Probabilities [texts, labels] of one batch."""
        logits = self.logits(self.feeds(rows))
        scaled = logits.astype(np.float64) / self._package.temperature
        shifted = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: npt.NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
        return probabilities

    def answer(self, text: str) -> dict[str, Any]:
        """Label, confidence and probabilities of one text."""
        return self._answer(self.run([self.encode(text)])[0].tolist())

    def answers(self, texts: Sequence[str], order: str, size: int) -> list[dict[str, Any]]:
        """The same for several texts, in batches of at most `size`."""
        rows = [self.encode(text) for text in texts]
        found: list[dict[str, Any]] = [{}] * len(rows)
        groups = grouped(rows, size) if order == "sorted" else _cut(range(len(rows)), size)
        for group in groups:
            for place, scores in zip(group, self.run([rows[n] for n in group]), strict=True):
                found[place] = self._answer(scores.tolist())
        return found

    def _answer(self, scores: list[float]) -> dict[str, Any]:
        probabilities = dict(zip(self._package.labels, scores, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        return {
            "label": label,
            "confidence": probabilities[label],
            "probabilities": probabilities,
        }


def grouped(rows: Sequence[list[int]], size: int) -> list[list[int]]:
    """Places of rows in batches of like length, the longest first."""
    groups: list[list[int]] = []
    for place in sorted(range(len(rows)), key=lambda place: -len(rows[place])):
        longest = len(rows[groups[-1][0]]) if groups else 0
        alike = longest <= max(_SLACK * len(rows[place]), len(rows[place]) + _ALWAYS)
        if groups and alike and len(groups[-1]) < size:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _cut(places: Sequence[int], size: int) -> list[Sequence[int]]:
    return [places[start : start + size] for start in range(0, len(places), size)]

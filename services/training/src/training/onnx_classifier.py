"""Runs an exported classifier the way the server does: cut alike, and softened alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from training.domain import Prediction
from training.exported import Exported
from training.probabilities import softmax
from training.tokenizer import load_tokenizer
from training.training_record import TOKENIZER
from training.truncation import cut_middle, set_truncation

Floats = npt.NDArray[np.float32]


class OnnxClassifier:
    """An ONNX graph and its tokenizer on one CPU thread.

    ``predict`` runs each text alone: a dynamically quantised model takes its activation scale over
    the whole batch tensor, and a text's answer would depend on the texts beside it. Of a text with
    more than ``max_tokens`` that the tokenizer has left whole, the middle is cut. Logits are
    divided by ``temperature`` before they become probabilities.
    """

    def __init__(
        self,
        model: Path | bytes,
        tokenizer: Tokenizer,
        *,
        max_tokens: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        self._session = open_session(model)
        self._projects = "projection" in {output.name for output in self._session.get_outputs()}
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._unknown_token = tokenizer.model.unk_token

    def predict(self, text: str) -> Prediction:
        """Classify one text of any length."""
        encoding = self._tokenizer.encode(text)
        limit = self._max_tokens or len(encoding.ids)
        outputs = ["logits", "projection"] if self._projects else ["logits"]
        rows = _run(self._session, [cut_middle(encoding.ids, limit)], outputs)
        scale, projection = narrow(rows[1][0]) if self._projects else (0.0, b"")
        tokens = cut_middle(encoding.tokens, limit)
        return Prediction(
            probabilities=tuple(softmax(rows[0][0], self._temperature).tolist()),
            input_tokens=len(tokens),
            special_tokens=sum(cut_middle(encoding.special_tokens_mask, limit)),
            unknown_tokens=tokens.count(self._unknown_token),
            projection=projection,
            projection_scale=scale,
        )


def exported_classifier(exported: Exported, model: Path | bytes | None = None) -> OnnxClassifier:
    """The classifier that a server will make of what ``export`` left; ``model``: another graph."""
    tokenizer = load_tokenizer(exported.directory / TOKENIZER, exported.max_tokens)
    set_truncation(tokenizer, exported.max_tokens, exported.truncation)
    return OnnxClassifier(
        exported.graph if model is None else model,
        tokenizer,
        max_tokens=exported.max_tokens,
        temperature=exported.temperature,
    )


def open_session(model: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """Load a graph for the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_logits(
    session: onnxruntime.InferenceSession, rows: Sequence[Sequence[int] | npt.NDArray[np.int32]]
) -> Floats:
    """The logits ``[rows, labels]`` of token ids in one run, padded to the longest row."""
    return _run(session, rows, ["logits"])[0]


def narrow(vector: Floats) -> tuple[float, bytes]:
    """A vector as a scale and one int8 for each dimension; nothing where it is not finite."""
    scale = float(np.abs(vector).max()) / 127
    if not np.isfinite(scale):
        return 0.0, b""
    return scale, np.rint(vector / (scale or 1.0)).astype(np.int8).tobytes()


def _run(
    session: onnxruntime.InferenceSession,
    rows: Sequence[Sequence[int] | npt.NDArray[np.int32]],
    outputs: list[str],
) -> list[Floats]:
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    found = session.run(outputs, {"input_ids": ids, "attention_mask": mask})
    return [np.asarray(each, dtype=np.float32) for each in found]

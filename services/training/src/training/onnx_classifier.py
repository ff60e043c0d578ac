"""Runs an exported classifier the way the server does: each text alone, never padded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from training.domain import Prediction


class OnnxClassifier:
    """An ONNX graph and its tokenizer on one CPU thread.

    A dynamically quantised model takes its activation scale over the whole batch tensor, so a
    text's answer would depend on the texts beside it; a batch of one has no such company.
    """

    def __init__(self, model: Path | bytes, tokenizer: Tokenizer) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizer
        self._unknown_token = tokenizer.model.unk_token

    def predict(self, text: str) -> Prediction:
        """Classify one text of any length; the tokenizer cuts it at the model's limit."""
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        (logits,) = self._session.run(
            ["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        )
        return Prediction(
            probabilities=tuple(softmax(np.asarray(logits)[0]).tolist()),
            input_tokens=len(encoding.ids),
            special_tokens=sum(encoding.special_tokens_mask),
            unknown_tokens=encoding.tokens.count(self._unknown_token),
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn ``[labels]`` logits into float64 probabilities that sum to 1."""
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: np.ndarray = shifted / shifted.sum()
    return probabilities

"""What the shipped sentiment model says of the texts of several domains, computed once.

Texts cost milliseconds each, so what is needed of them is kept in a scratch directory: tokens,
probabilities, whether the answer was right, and the projection that the graph gives.
"""

import gzip
import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL = Path(__file__).resolve().parents[2] / "deploy" / "models" / "sentiment" / "2"
DOMAINS = {
    "sst2": ("sst2/train.jsonl.gz", 4000),
    "sst2-dev": ("sst2/dev.jsonl.gz", 872),
    "customer": ("reviews/customer.jsonl.gz", 2000),
    "amazon-kitchen": ("reviews/amazon-kitchen.jsonl.gz", 600),
    "amazon-books": ("reviews/amazon-books.jsonl.gz", 600),
    "imdb": ("imdb/dev.jsonl.gz", 600),
}
"""File and the number of texts that are taken of it, by chance."""
_SPECIAL = 2
_SEED = 7


@dataclass(frozen=True)
class Answered:
    """Texts of one domain, in columns."""

    tokens: np.ndarray
    unknown: np.ndarray
    probabilities: np.ndarray
    """[texts, 2]"""
    right: np.ndarray
    projection: np.ndarray
    """[texts, 64]"""

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, rows: np.ndarray) -> "Answered":
        """Those texts."""
        return Answered(*(getattr(self, field.name)[rows] for field in fields(self)))

    def plus(self, other: "Answered") -> "Answered":
        """These, then those."""
        return Answered(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )


def answered_texts(data: Path, scratch: Path) -> dict[str, Answered]:
    """Each domain whose file is there, from the scratch directory or from the model."""
    found = {}
    for domain, (file, count) in DOMAINS.items():
        if not (data / file).exists():
            continue
        kept = scratch / f"{domain}-{count}.npz"
        if not kept.exists():
            print(f"running the model on {count} texts of {domain}", flush=True)
            answers = _answer(*_texts(data / file, count))
            scratch.mkdir(parents=True, exist_ok=True)
            np.savez(
                kept, **{field.name: getattr(answers, field.name) for field in fields(answers)}
            )
        with np.load(kept) as columns:
            found[domain] = Answered(**columns)
    return found


def _texts(file: Path, count: int) -> tuple[list[str], np.ndarray]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    taken = np.random.default_rng(_SEED).permutation(len(rows))[:count]
    return [rows[place]["text"] for place in taken], np.array([rows[p]["label"] for p in taken])


def _answer(texts: list[str], labels: np.ndarray) -> Answered:
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    unknown = tokenizer.token_to_id("[UNK]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), options)
    rows = []
    for text in texts:
        ids = tokenizer.encode(text[:5000]).ids
        feed = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
        }
        logits, projection = session.run(["logits", "projection"], feed)
        odds = np.exp(logits[0] - logits[0].max())
        rows.append((len(ids), ids.count(unknown), odds / odds.sum(), projection[0]))
    probabilities = np.array([row[2] for row in rows])
    return Answered(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        probabilities,
        probabilities.argmax(axis=1) == labels,
        np.array([row[3] for row in rows], np.float32),
    )


def text_tokens(answers: Answered) -> np.ndarray:
    """Without the special ones."""
    return answers.tokens - _SPECIAL

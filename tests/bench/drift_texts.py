"""What the shipped sentiment model says of the texts of several domains, computed once.

Texts cost milliseconds each, so what is needed of them is kept in a scratch directory: tokens,
probabilities, whether the answer was right, and the projection that the graph gives. They are
encoded as the service encodes them, and the temperature of the package is applied.

Texts of domains are the rows that its training held out, found by preparing the data as the model's
recipe says: on rows that it learnt from a model is right more often than anybody can estimate.
"""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import onnxruntime
import yaml

from inference.text_encoder import TextEncoder

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "deploy" / "models" / "sentiment" / "2"
TRAINING = ROOT / "services" / "training"
HOME = ("sst2", "sst2/train.jsonl.gz")
"""Texts of SST-2's train split, for drift alone: there nothing depends on who was right."""
DOMAINS = ("sst2", "customer", "amazon-kitchen", "amazon-books", "imdb")
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


def answered_texts(
    data: Path, scratch: Path, *, home: int = 20_000, most: int = 100_000
) -> dict[str, Answered]:
    """`sst2` from its train split, and what was held out of each domain as `<domain> held out`.

    Args:
        home: texts that are taken of SST-2's train split.
        most: texts that are taken of a domain.
    """
    name, file = HOME
    found = {}
    if (data / file).exists():
        found[name] = _kept(scratch / f"{name}-{home}.npz", lambda: _of_file(data / file, home))
    held_out = _held_out(data, scratch) if (data / file).exists() else {}
    for domain in DOMAINS:
        if domain in held_out:
            texts, labels = held_out[domain]
            rows = slice(0, most)
            file_name = scratch / f"held-out-{domain}-{min(most, len(texts))}.npz"
            found[f"{domain} held out"] = _kept(
                file_name, lambda texts=texts[rows], labels=labels[rows]: (texts, labels)
            )
    return found


def _held_out(data: Path, scratch: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """By domain, in an order of chance; the recipe's sources must all be there."""
    prepared = scratch / "prepared"
    if not prepared.exists():
        print("preparing the data as the model's recipe says", flush=True)
        scratch.mkdir(parents=True, exist_ok=True)
        recipe = TRAINING / "recipes" / "sentiment.yaml"
        subprocess.run(
            [
                *(sys.executable, "-m", "training", "prepare", recipe),
                *("--data", data, "--output", prepared),
            ],
            env={**os.environ, "PYTHONPATH": str(TRAINING / "src")},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    with gzip.open(prepared / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    found = {}
    for domain in DOMAINS:
        of_domain = [row for row in rows if row["source"] == domain]
        order = np.random.default_rng(_SEED).permutation(len(of_domain))
        found[domain] = (
            [of_domain[place]["text"] for place in order],
            np.array([of_domain[place]["label"] for place in order]),
        )
    return found


def _kept(file, texts_of) -> Answered:
    if not file.exists():
        texts, labels = texts_of()
        print(f"running the model on {len(texts)} texts for {file.name}", flush=True)
        answers = _answer(texts, labels)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **{field.name: getattr(answers, field.name) for field in fields(answers)})
    with np.load(file) as columns:
        return Answered(**columns)


def _of_file(file: Path, count: int) -> tuple[list[str], np.ndarray]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    taken = np.random.default_rng(_SEED).permutation(len(rows))[:count]
    return [rows[place]["text"] for place in taken], np.array([rows[p]["label"] for p in taken])


def _answer(texts: list[str], labels: np.ndarray) -> Answered:
    manifest = yaml.safe_load((MODEL / "model.yaml").read_text(encoding="utf-8"))
    inputs = manifest["inputs"]
    encoder = TextEncoder(MODEL / "tokenizer.json", inputs["max_tokens"], inputs["truncation"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), options)
    rows = []
    for text in texts:
        encoded = encoder.encode(text[: inputs["max_characters"]])
        ids = encoded.token_ids
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        logits, projection = session.run(["logits", "projection"], feed)
        scaled = logits[0].astype(np.float64) / manifest["temperature"]
        odds = np.exp(scaled - scaled.max())
        rows.append((ids.shape[1], encoded.unknown_tokens, odds / odds.sum(), projection[0]))
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

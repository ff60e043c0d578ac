"""A text classification model, ready to answer once it has proven itself."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.domain import Caller, Fault, Item, Rejection, Scored, TextFacts
from inference.manifest import TextManifest
from inference.onnx_backend import OnnxBackend
from inference.package import ModelPackage, PackageInvalid
from inference.projection import projections
from inference.runnable import Batching, Prepared
from inference.text_encoder import TextEncoder
from measures.scripts import letters_by_script

_MAX_ITEMS = 16
_MAX_PADDED_TOKENS = 2048
"""What a batch may hold where the manifest does not say; more gained nothing on any core tried."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text that the model takes."""

    token_ids: npt.NDArray[np.int64]
    """[tokens]"""
    facts: TextFacts

    @property
    def size(self) -> int:
        """Its tokens."""
        return len(self.token_ids)


class TextClassifier:
    """Scores texts; safe to use from several threads at once.

    Graphs that scale their activations over the whole batch as they run have each text alone,
    unless the manifest says otherwise: its answer would depend on the others.
    """

    def __init__(self, manifest: TextManifest, encoder: TextEncoder, backend: OnnxBackend) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self.version = manifest.version
        self.max_size = manifest.inputs.max_tokens
        self.max_waiting_items = manifest.limits.max_waiting_items
        self.batching = _batching(manifest)
        self._encoder = encoder
        self._backend = backend

    def prepare(self, item: Item) -> PreparedText | Rejection:
        """Checks and encodes a text."""
        text = self._accepted(item)
        if isinstance(text, Rejection):
            return text
        encoded = self._encoder.encode(text)
        return PreparedText(
            token_ids=encoded.token_ids[0],
            facts=TextFacts(
                sha256=hashlib.sha256(text.encode()).digest(),
                characters=len(text),
                tokens=encoded.token_ids.shape[1],
                unknown_tokens=encoded.unknown_tokens,
                special_tokens=encoded.special_tokens,
                letters=letters_by_script(text),
            ),
        )

    def sample(self, size: int) -> PreparedText:
        """A text of that many equal tokens."""
        return PreparedText(np.ones(size, dtype=np.int64), TextFacts(b"", 0, size, 0, 0))

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        """Probabilities of the labels for each text, padded to the longest."""
        texts = [prepared for prepared in batch if isinstance(prepared, PreparedText)]
        token_ids = np.zeros((len(texts), max(text.size for text in texts)), dtype=np.int64)
        mask = np.zeros_like(token_ids)
        for row, text in enumerate(texts):
            token_ids[row, : text.size] = text.token_ids
            mask[row, : text.size] = 1
        started = time.perf_counter()
        logits, states = self._backend.run(token_ids, mask)
        milliseconds = (time.perf_counter() - started) * 1e3
        return [
            Scored(
                probabilities=dict(zip(self.manifest.labels, shares, strict=True)),
                facts=text.facts,
                milliseconds=milliseconds,
                projection=projection,
            )
            for text, shares, projection in zip(
                texts, self._probabilities(logits), projections(states, len(texts)), strict=True
            )
        ]

    def _probabilities(self, logits: npt.NDArray[np.float32]) -> list[list[float]]:
        scaled = logits.astype(np.float64) / self.manifest.temperature
        shifted = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: list[list[float]] = (shifted / shifted.sum(axis=1, keepdims=True)).tolist()
        return probabilities

    def _accepted(self, item: Item) -> str | Rejection:
        if item.text is None:
            if item.row is not None or item.tensors is not None:
                return Rejection(Fault.INPUT_KIND, "This model takes text.")
            return Rejection(Fault.INPUT_MISSING, "The item has no input.")
        if not item.text.strip():
            return Rejection(Fault.TEXT_BLANK, "The text is blank.")
        longest = self.manifest.inputs.max_characters
        if len(item.text) > longest:
            return Rejection(Fault.TEXT_TOO_LONG, f"The text has more than {longest} characters.")
        if "\0" in item.text:
            return Rejection(Fault.TEXT_INVALID, "The text contains a NUL character.")
        return item.text


def load_classifier(package: ModelPackage, manifest: TextManifest) -> TextClassifier:
    """Loads a package and has it answer its golden examples.

    Raises:
        PackageInvalid: it cannot be loaded, or an answer is not the one that it must give.
    """
    directory, inputs = package.directory, manifest.inputs
    try:
        classifier = TextClassifier(
            manifest,
            TextEncoder(directory / "tokenizer.json", inputs.max_tokens, inputs.truncation),
            OnnxBackend(directory / "model.onnx"),
        )
        worst = max(
            abs(probability - expected)
            for example in package.golden
            for probability, expected in _pairs(classifier, example.text, example.probabilities)
        )
    except Exception as error:
        # Whatever a graph or a tokenizer does wrong at its first run, and in its own words.
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise PackageInvalid(f"{package}: {reason}") from error
    # Written so that a NaN fails, too.
    if not worst <= manifest.golden_tolerance:
        raise PackageInvalid(
            f"{package}: a golden example is off by {worst:.4f}, "
            f"more than the tolerance of {manifest.golden_tolerance}"
        )
    return classifier


def _batching(manifest: TextManifest) -> Batching:
    stated, longest = manifest.batching, manifest.inputs.max_tokens
    if not stated.independent:
        return Batching(independent=False, max_items=1, max_padded_tokens=longest)
    return Batching(
        independent=True,
        max_items=stated.max_items or _MAX_ITEMS,
        # Any one text must fit.
        max_padded_tokens=max(longest, stated.max_padded_tokens or _MAX_PADDED_TOKENS),
    )


def _pairs(
    classifier: TextClassifier, text: str, expected: Mapping[str, float]
) -> list[tuple[float, float]]:
    prepared = classifier.prepare(Item(text, Caller("", ""), ""))
    if isinstance(prepared, Rejection):
        raise ValueError(f"a golden example is refused: {prepared.message}")
    (scored,) = classifier.run([prepared])
    return [(scored.probabilities[label], float(value)) for label, value in expected.items()]

"""A text classification model, ready to answer once it has proven itself."""

import hashlib
import time

import numpy as np
import numpy.typing as npt

from inference.domain import Scored, TextFacts
from inference.onnx_backend import OnnxBackend
from inference.package import Manifest, ModelPackage, PackageInvalid
from inference.text_encoder import TextEncoder


class TextClassifier:
    """Scores one text at a time; safe to use from several threads at once.

    Texts are never put into one batch here: the int8 graphs scale their activations over the whole
    batch, so that an answer would depend on whose texts it was computed with.
    """

    def __init__(self, manifest: Manifest, encoder: TextEncoder, backend: OnnxBackend) -> None:
        self.manifest = manifest
        self._encoder = encoder
        self._backend = backend

    def score(self, text: str) -> Scored:
        """Probabilities of the labels for one text."""
        encoded = self._encoder.encode(text)
        started = time.perf_counter()
        logits = self._backend.logits(encoded.token_ids)[0]
        elapsed = time.perf_counter() - started
        return Scored(
            probabilities=dict(zip(self.manifest.labels, _softmax(logits), strict=True)),
            facts=TextFacts(
                sha256=hashlib.sha256(text.encode()).digest(),
                characters=len(text),
                tokens=encoded.token_ids.shape[1],
                unknown_tokens=encoded.unknown_tokens,
                special_tokens=encoded.special_tokens,
            ),
            milliseconds=elapsed * 1e3,
        )


def load_classifier(package: ModelPackage) -> TextClassifier:
    """Loads a package and has it answer its golden examples.

    Raises:
        PackageInvalid: it cannot be loaded, or an answer is not the one that it must give.
    """
    directory, manifest = package.directory, package.manifest
    try:
        classifier = TextClassifier(
            manifest,
            TextEncoder(directory / "tokenizer.json", manifest.inputs.max_tokens),
            OnnxBackend(directory / "model.onnx"),
        )
        worst = max(
            abs(scored.probabilities[label] - expected)
            for example in package.golden
            for scored in [classifier.score(example.text)]
            for label, expected in example.probabilities.items()
        )
    except ValueError as error:
        raise PackageInvalid(f"{directory}: {error}") from error
    # Written so that a NaN fails, too.
    if not worst <= manifest.golden_tolerance:
        raise PackageInvalid(
            f"{directory}: a golden example is off by {worst:.4f}, "
            f"more than the tolerance of {manifest.golden_tolerance}"
        )
    return classifier


def _softmax(logits: npt.NDArray[np.float32]) -> list[float]:
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: list[float] = (shifted / shifted.sum()).tolist()
    return probabilities

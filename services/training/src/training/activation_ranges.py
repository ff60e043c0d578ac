"""Looks at the activations that a float graph multiplies with weights, on rows of real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.onnx_classifier import open_session
from training.quantise import heads

Floats = npt.NDArray[np.float32]

# The operators whose first input is quantised, and whose second input is a constant matrix.
PRODUCTS = ("MatMul", "Attention")
# Tokens that are kept of a row: neighbours tell the same, and all of them would fill the memory.
TOKENS_PER_ROW = 3


@dataclass(frozen=True, slots=True)
class Product:
    """A product of an activation ``[…, tokens, channels]`` and a weight ``[channels, columns]``."""

    node: str
    activation: str
    weight: str
    matrix: Floats


@dataclass(slots=True)
class Observed:
    """An activation as it was seen: least and greatest value of each channel, and some tokens."""

    low: Floats
    high: Floats
    tokens: list[Floats] = field(default_factory=list)

    def add(self, values: Floats, rng: np.random.Generator) -> None:
        """Take in ``[tokens, channels]`` of one row."""
        self.low = np.minimum(self.low, values.min(axis=0))
        self.high = np.maximum(self.high, values.max(axis=0))
        count = min(TOKENS_PER_ROW, len(values))
        self.tokens.append(values[rng.choice(len(values), count, replace=False)])


def products(model: onnx.ModelProto) -> tuple[Product, ...]:
    """The products of a fused float graph that are to be quantised, in the graph's order."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    excluded = set(heads(model))
    return tuple(
        Product(node.name, node.input[0], node.input[1],
                np.asarray(numpy_helper.to_array(constants[node.input[1]]), dtype=np.float32))
        for node in model.graph.node
        if node.op_type in PRODUCTS
        and node.name not in excluded
        and node.input[1] in constants
    )  # fmt: skip


def observe(
    model: onnx.ModelProto, wanted: Sequence[Product], rows: Sequence[npt.NDArray[np.int32]]
) -> Mapping[str, Observed]:
    """Run the graph over token ids, each row alone, and describe every wanted activation."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = [product.activation for product in wanted]
    for name in names:
        watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = open_session(watched.SerializeToString())
    # Reproducible, so that the same rows make the same graph.
    rng = np.random.default_rng(0)
    seen: dict[str, Observed] = {}
    for row in rows:
        ids = row.astype(np.int64)[None]
        found = session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, values in zip(names, found, strict=True):
            tokens = np.asarray(values, dtype=np.float32).reshape(-1, np.shape(values)[-1])
            if name not in seen:
                channels = tokens.shape[1]
                seen[name] = Observed(
                    np.zeros(channels, np.float32), np.zeros(channels, np.float32)
                )
            seen[name].add(tokens, rng)
    return seen

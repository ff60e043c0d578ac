"""Imitates the float arithmetic of another CPU, to see which answers depend on it.

A last-bit difference can move the largest activation of a tensor. The dynamic quantisation takes
its scale from that, so every value of the tensor is rounded anew, and a text on the edge may fall
to the other side.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

# About the rounding error that float32 sums of a few hundred terms gather, relative to the sum.
RELATIVE = 1e-6


def with_float_noise(model: Path, seed: int) -> bytes:
    """Serialise ``model`` with each float weight changed by a normal error of 1e-6 of itself."""
    noise = np.random.default_rng(seed)
    graph = onnx.load(str(model))
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            noisy = values * (1 + RELATIVE * noise.standard_normal(values.shape))
            tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    serialised: bytes = graph.SerializeToString()
    return serialised

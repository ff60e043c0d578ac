"""Fuses an exported BERT graph and quantises it to int8, without changing what it computes where.

Both steps can silently do half of the work when an exporter changes its patterns, so the fused
operators are counted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.optimizer import optimize_model

from training.domain import ExportError


def fuse(source: Path, target: Path, *, layers: int, heads: int, hidden_size: int) -> None:
    """Rewrite attention, layer norms, embeddings and activations as fused operators (float32).

    Raises ExportError unless every one of ``layers`` layers was fused.
    """
    # opt_level 0 keeps onnxruntime's own passes out: those run at load time, for the CPU at hand.
    fused = optimize_model(
        str(source), model_type="bert", num_heads=heads, hidden_size=hidden_size, opt_level=0
    )
    # The mark stops advice, logged as a warning, to run a pass that would shape-infer fused ops.
    add_pre_process_metadata(fused.model)
    fused.save_model_to_file(str(target))
    check_fused(target, layers=layers, attention="Attention")


def quantise(source: Path, target: Path, *, layers: int) -> None:
    """Quantise the weights to int8 per output channel and activations to uint8 at run time.

    ``reduce_range`` keeps weights to 7 bits: on CPUs with AVX2 but no VNNI, products of full
    8-bit values saturate in 16 bits, and such a CPU would answer differently from the others.
    Raises ExportError when an attention was left in float.
    """
    quantize_dynamic(
        str(source),
        str(target),
        # What stands behind the pooling costs nothing and decides: it stays in float.
        # The pass renames what it rewrites from Gemm to MatMul.
        nodes_to_exclude=[
            name + suffix for name in heads(onnx.load(str(source))) for suffix in ("", "_MatMul")
        ],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        # Without it, tensors whose type shape inference cannot tell (fused ops) stop the pass.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    check_fused(target, layers=layers, attention="QAttention")


def heads(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that make the graph's outputs: logits and projection."""
    outputs = {output.name for output in model.graph.output}
    return [node.name for node in model.graph.node if outputs.intersection(node.output)]


def operators(path: Path) -> Counter[str]:
    """How often each operator occurs in the graph of an ONNX file."""
    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


def check_fused(path: Path, *, layers: int, attention: str) -> None:
    """Raise ExportError unless the graph has one attention and two fused layer norms a layer."""
    found = operators(path)
    expected = {attention: layers, "SkipLayerNormalization": 2 * layers}
    wrong = [f"{op} {found[op]} of {count}" for op, count in expected.items() if found[op] != count]
    if wrong:
        raise ExportError(f"{path.name}: not fused: {', '.join(wrong)}")

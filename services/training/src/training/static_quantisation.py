"""Quantises with scales that rows of real data have fixed, so that no answer depends on its mates.

The dynamic graph is the pattern: where that takes an activation's scale from the tensor at hand,
this one has a constant, so texts may share a run. Chosen with care, constants are closer to the
float graph than scales from the tensor; what they save in time, the divisions cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

from training.activation_ranges import Product, observe, products
from training.activation_scales import Scale, choose_scale
from training.domain import ExportError
from training.quantise import operators, quantise


def quantise_static(
    source: Path, target: Path, rows: Sequence[npt.NDArray[np.int32]], *, layers: int
) -> Mapping[str, Scale]:
    """Quantise a fused float graph with scales from ``rows`` of token ids; return the scales.

    Raises ExportError when an activation still has a scale of its own making, or an integer
    product was not fused with what follows it.
    """
    model = onnx.load(str(source))
    wanted = products(model)
    seen = observe(model, wanted, rows)
    scales = {product.activation: choose_scale(product, seen[product.activation])
              for product in wanted}  # fmt: skip
    _divide(model, wanted, scales)
    divided = target.with_name(f".{target.name}.divided")
    try:
        onnx.save(model, str(divided))
        quantise(divided, target, layers=layers)
    finally:
        divided.unlink(missing_ok=True)
    quantised = onnx.load(str(target))
    _fix_scales(quantised, {_divided(name, of): of for name, of in scales.items()})
    _fuse_products(quantised)
    _take_fast_gelu(quantised)
    onnx.save(quantised, str(target))
    _check(target, layers=layers, activations=len(scales))
    return scales


def _divided(name: str, scale: Scale) -> str:
    return name if scale.divisors is None else f"{name}_divided"


def _divide(model: onnx.ModelProto, wanted: Sequence[Product], scales: Mapping[str, Scale]) -> None:
    """Divide activations before their products, and multiply the weights' rows."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    order = list(model.graph.node)
    for product in wanted:
        divisors = scales[product.activation].divisors
        if divisors is None:
            continue
        weights[product.weight].CopyFrom(
            numpy_helper.from_array(product.matrix * divisors[:, None], product.weight)
        )
        name = f"{product.activation}_divided"
        model.graph.initializer.append(numpy_helper.from_array(1 / divisors, f"{name}_by"))
        node = nodes[product.node]
        divide = helper.make_node("Mul", [product.activation, f"{name}_by"], [name], name)
        node.input[0] = name
        order.insert(order.index(node), divide)
    del model.graph.node[:]
    model.graph.node.extend(order)


def _fix_scales(model: onnx.ModelProto, scales: Mapping[str, Scale]) -> None:
    """Replace every DynamicQuantizeLinear by one with a constant scale and zero point."""
    for node in model.graph.node:
        if node.op_type != "DynamicQuantizeLinear":
            continue
        quantised, step, zero = node.output
        scale = scales[node.input[0]]
        model.graph.initializer.extend(
            [numpy_helper.from_array(np.asarray(scale.step), step),
             numpy_helper.from_array(np.asarray(scale.zero), zero)]
        )  # fmt: skip
        node.CopyFrom(
            helper.make_node("QuantizeLinear", [node.input[0], step, zero], [quantised], node.name)
        )


def _fuse_products(model: onnx.ModelProto) -> None:
    """Put each integer product and its scaling into one operator.

    onnxruntime does this at load time for dynamic scales; constant ones it multiplies beforehand,
    and then no longer knows the pattern.
    """
    made_by = {output: node for node in model.graph.node for output in node.output}
    used_by: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            used_by[name].append(node)
    fused: dict[str, NodeProto] = {}
    gone: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "MatMulInteger":
            continue
        (cast,) = used_by[node.output[0]]
        (scaled,) = used_by[cast.output[0]]
        factors = made_by[scaled.input[1]]
        activation, weight, activation_zero, weight_zero = node.input
        fused[scaled.output[0]] = helper.make_node(
            "MatMulIntegerToFloat",
            [activation, weight, *factors.input, activation_zero, weight_zero],
            [scaled.output[0]],
            node.name,
            domain="com.microsoft",
        )
        gone.update(of.output[0] for of in (node, cast, factors))
    order = [fused.get(node.output[0], node) for node in model.graph.node
             if node.output[0] not in gone]  # fmt: skip
    del model.graph.node[:]
    model.graph.node.extend(order)


def _take_fast_gelu(model: onnx.ModelProto) -> None:
    """Compute GELU by its tanh approximation.

    It is off by 5e-4 at most, far below a step of the quantisation that follows, and a run takes
    about a tenth less time.
    """
    for node in model.graph.node:
        if node.op_type == "BiasGelu":
            node.op_type = "FastGelu"


def _check(path: Path, *, layers: int, activations: int) -> None:
    found = operators(path)
    expected = {
        "QuantizeLinear": activations,
        "DynamicQuantizeLinear": 0,
        "MatMulIntegerToFloat": 3 * layers,
        "QAttention": layers,
        "FastGelu": layers,
    }
    wrong = [f"{op} {found[op]} of {count}" for op, count in expected.items() if found[op] != count]
    if wrong:
        raise ExportError(f"{path.name}: not quantised as it must be: {', '.join(wrong)}")

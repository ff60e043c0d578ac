from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from training import onnx_export
from training.domain import ExportError
from training.onnx_export import export_onnx, parity
from training.quantise import check_fused, operators
from training.text_classifier import load_classifier

LABELS = ("negative", "positive")
LAYERS = 6


@pytest.mark.parametrize("graph", ["traced", "fused"])
def test_float_graphs_say_what_torch_says(checkpoint: Path, graph: str) -> None:
    model = load_classifier(checkpoint)

    assert parity(model, checkpoint / f"{graph}.onnx") <= 1e-4


@pytest.mark.parametrize(("graph", "attention"), [("fused", "Attention"), ("int8", "QAttention")])
def test_every_layer_is_fused(checkpoint: Path, graph: str, attention: str) -> None:
    found = operators(checkpoint / f"{graph}.onnx")

    assert found[attention] == LAYERS
    assert found["SkipLayerNormalization"] == 2 * LAYERS


def test_the_int8_graph_has_no_float_matrix_product_but_its_head(checkpoint: Path) -> None:
    found = operators(checkpoint / "int8.onnx")

    assert found["MatMul"] + found["Gemm"] == 1
    assert found["MatMulInteger"] == 3 * LAYERS


def test_int8_weights_keep_to_seven_bits(checkpoint: Path) -> None:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(checkpoint / "int8.onnx")).graph
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]

    assert max(int(np.abs(numpy_helper.to_array(w).astype(int)).max()) for w in weights) <= 64


def test_the_package_takes_ids_and_mask_of_any_shape(package: Path) -> None:
    session = onnxruntime.InferenceSession(str(package / "model.onnx"))

    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("input_ids", "tensor(int64)", ["batch", "sequence"]),
        ("attention_mask", "tensor(int64)", ["batch", "sequence"]),
    ]
    for batch, width in ((1, 1), (3, 40)):
        ids = np.full((batch, width), 5, dtype=np.int64)
        (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": ids // 5})
        assert np.asarray(logits).shape == (batch, len(LABELS))


def test_a_graph_that_is_not_fused_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ExportError, match="Attention 0 of 6, SkipLayerNormalization 0 of 12"):
        check_fused(checkpoint / "traced.onnx", layers=LAYERS, attention="Attention")


def test_a_graph_that_differs_from_torch_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    model = load_classifier(checkpoint)

    with pytest.raises(ExportError, match="differ from torch"):
        export_onnx(model, tmp_path / "traced.onnx")

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


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    path = tmp_path_factory.mktemp("traced") / "traced.onnx"
    export_onnx(load_classifier(checkpoint, attention="eager"), path)
    return path


def test_float_graphs_say_what_torch_says(checkpoint: Path, traced: Path) -> None:
    model = load_classifier(checkpoint)

    assert parity(model, traced) <= 1e-4
    assert parity(model, checkpoint / "fused.onnx") <= 1e-4


def test_every_layer_is_fused(checkpoint: Path, dynamic: Path) -> None:
    for graph, attention in (
        (checkpoint / "fused.onnx", "Attention"),
        (checkpoint / "int8.onnx", "QAttention"),
        (dynamic, "QAttention"),
    ):
        found = operators(graph)
        assert found[attention] == LAYERS
        assert found["SkipLayerNormalization"] == 2 * LAYERS


def test_a_dynamic_graph_has_no_float_matrix_product_but_its_heads(dynamic: Path) -> None:
    found = operators(dynamic)

    # Logits and projection.
    assert found["MatMul"] + found["Gemm"] == 2
    assert found["MatMulInteger"] == 3 * LAYERS


def test_weights_of_a_dynamic_graph_keep_to_seven_bits(dynamic: Path) -> None:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(dynamic)).graph
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


def test_a_graph_that_is_not_fused_is_refused(traced: Path) -> None:
    with pytest.raises(ExportError, match="Attention 0 of 6, SkipLayerNormalization 0 of 12"):
        check_fused(traced, layers=LAYERS, attention="Attention")


def test_a_graph_that_differs_from_torch_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    model = load_classifier(checkpoint)

    with pytest.raises(ExportError, match="differ from torch"):
        export_onnx(model, tmp_path / "traced.onnx")

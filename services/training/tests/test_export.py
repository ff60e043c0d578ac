"""What ``export`` leaves beside a run's model, what can be relied on, and when it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from training import export as export_module
from training import static_quantisation
from training.domain import ExportError, InputError
from training.exported import Exported, read_exported
from training.onnx_classifier import exported_classifier, open_session, run_logits
from training.onnx_export import parity, projection_matrix
from training.prepared_data import read_prepared
from training.quantise import operators
from training.text_classifier import load_classifier

from .conftest import Weir

LAYERS = 2
Export = Callable[..., Exported]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, weir: Weir, data: Path, thin_base: Path) -> Path:
    """A finished run of two layers that cuts long texts in the middle."""
    output = tmp_path_factory.mktemp("runs") / "two-layers"
    result = weir(
        *("fit", data, "--base", thin_base, "--output", output, "--epochs", 5),
        *("--max-tokens", 16, "--set", "model.truncation=head_tail"),
        *("--set", "training.learning_rate=0.003", "--set", "training.rows_per_batch=16"),
    )
    assert result.exception is None, result.output
    return output


@pytest.fixture(scope="module")
def static(run: Path, weir: Weir, data: Path) -> Exported:
    result = weir("export", run, "--data", data)
    assert result.exception is None, result.output
    (run / "output.txt").write_text(result.output)
    return read_exported(run / "model")


@pytest.fixture
def export(run: Path, static: Exported, weir: Weir, data: Path, tmp_path: Path) -> Export:
    """Export a copy of the run in another way."""

    def again(*options: object) -> Exported:
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        result = weir("export", copy, "--data", data, *options)
        if result.exception is not None:
            raise result.exception
        return read_exported(copy / "model")

    return again


def test_an_export_holds_what_a_package_needs(static: Exported, run: Path) -> None:
    assert {path.name for path in (run / "model").iterdir()} >= {
        *("fused.onnx", "int8.onnx", "export.json", "tokenizer.json", "training.json")
    }
    assert not (run / "model" / "traced.onnx").exists()
    assert static.inputs(5000)["truncation"] == "head_tail"
    assert static.batching.independent
    assert (static.layers, static.quantisation, static.failed) == (LAYERS, "static", ())


def test_parity_is_measured_on_every_dev_row_and_told(
    static: Exported, run: Path, data: Path
) -> None:
    rows = len(read_prepared(data).splits["dev"])
    output = (run / "output.txt").read_text()

    assert sum(of["rows"] for of in static.metrics.values()) == rows
    assert [check.limit for check in static.checks[:3]] == [1e-4, 0.005, 0.99]
    assert f"asking torch {rows}/{rows}" in output
    assert "agreement with fp32" in output


def test_the_figures_are_those_of_the_served_graph(static: Exported, data: Path) -> None:
    classify = exported_classifier(static).predict
    rows = [row for row in read_prepared(data).splits["dev"] if row.source == "toys"]
    predictions = [classify(row.text) for row in rows]
    right = [answer.label == row.label for answer, row in zip(predictions, rows, strict=True)]

    metrics = static.metrics["toys dev"]
    assert metrics["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
    assert metrics["mean_confidence"] == pytest.approx(
        np.mean([answer.confidence for answer in predictions]), abs=1e-3
    )


def test_the_classifier_cuts_as_training_did(static: Exported) -> None:
    answer = exported_classifier(static).predict("great " + "film " * 60 + "awful")

    assert (answer.input_tokens, answer.special_tokens) == (16, 2)


def test_a_static_graph_has_constant_scales_and_fused_products(static: Exported) -> None:
    found = operators(static.graph)

    assert found["DynamicQuantizeLinear"] == found["MatMulInteger"] == 0
    assert found["QuantizeLinear"] == 4 * LAYERS
    assert found["MatMulIntegerToFloat"] == 3 * LAYERS
    assert found["QAttention"] == found["FastGelu"] == LAYERS


def test_weights_of_a_static_graph_keep_to_seven_bits(static: Exported) -> None:
    graph = onnx.load(str(static.graph)).graph
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and t.dims]

    assert len(weights) >= 4 * LAYERS
    assert max(int(np.abs(numpy_helper.to_array(w).astype(int)).max()) for w in weights) <= 64


def test_an_answer_of_a_static_graph_does_not_depend_on_its_mates(static: Exported) -> None:
    session = open_session(static.graph)
    short, long = [2, 5, 9, 3], [2, *range(4, 20), 3]

    together = run_logits(session, [short, long])

    assert together[0] == pytest.approx(run_logits(session, [short])[0], abs=1e-4)
    assert together[1] == pytest.approx(run_logits(session, [long])[0], abs=1e-4)


def test_the_float_graph_says_what_torch_says(static: Exported) -> None:
    assert parity(load_classifier(static.directory), static.directory / "fused.onnx") <= 1e-4


@pytest.mark.parametrize("graph", ["fused.onnx", "int8.onnx"])
def test_graphs_project_the_pooled_state(static: Exported, graph: str) -> None:
    assert static.projection is not None
    ids = np.array([[2, 5, 9, 3]])
    model = load_classifier(static.directory)
    import torch

    with torch.inference_mode():
        pooled = model.pooled(torch.from_numpy(ids), torch.ones(1, 4, dtype=torch.long)).numpy()

    (found,) = open_session(static.directory / graph).run(
        [static.projection.output], {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    )

    assert static.projection.dimensions == 32
    assert np.asarray(found) == pytest.approx(pooled @ projection_matrix(32, 32), abs=0.2)


def test_the_projection_keeps_lengths_alike_in_all_directions() -> None:
    matrix = projection_matrix(384, 64)

    assert matrix.T @ matrix == pytest.approx(np.eye(64), abs=1e-5)
    assert (matrix == projection_matrix(384, 64)).all()


def test_speed_is_measured_for_lengths_and_cores(static: Exported) -> None:
    assert [(of["tokens"], of["items"]) for of in static.speed["latency"]] == [(16, 1), (16, 8)]
    assert static.speed["throughput"]["fp32"]["ratio"] == 1.0
    assert static.speed["throughput"]["int8"]["texts_per_second"] > 0


def test_the_same_run_gives_the_same_graph(static: Exported, export: Export) -> None:
    assert export().files == static.files


def test_a_dynamic_graph_is_to_be_run_alone(export: Export) -> None:
    dynamic = export("--quantisation", "dynamic", "--no-projection")

    assert not dynamic.batching.independent
    assert dynamic.projection is None
    assert operators(dynamic.graph)["DynamicQuantizeLinear"] == 4 * LAYERS
    assert dynamic.activations is None


def test_without_quantisation_the_float_graph_is_served(export: Export) -> None:
    exported = export("--quantisation", "none")

    assert exported.graph.name == "fused.onnx"
    assert not (exported.directory / "int8.onnx").exists()
    assert list(exported.files) == ["fused.onnx"]


def test_a_failed_check_is_written_down_and_ends_the_command(
    export: Export, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"megabytes .* \(at most 0.001\): FAILED"):
        export("--max-megabytes", "0.001")

    assert [check.name for check in read_exported(tmp_path / "copy" / "model").failed] == [
        "megabytes"
    ]


def test_an_export_that_breaks_off_leaves_nothing_to_register(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_quantisation, "_take_fast_gelu", lambda model: None)

    with pytest.raises(ExportError, match="FastGelu 0 of 2"):
        export()
    with pytest.raises(InputError, match="not exported"):
        read_exported(tmp_path / "copy" / "model")


def test_mates_that_change_answers_are_found(
    export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "mates_difference", lambda session, rows: 0.1)

    with pytest.raises(ExportError, match=r"among mates 0\.1"):
        export()


def test_data_of_other_labels_is_refused(
    weir: Weir, run: Path, train_file: Path, dev_file: Path, tmp_path: Path
) -> None:
    weir(
        *("prepare", "--train", train_file, "--dev", dev_file, "--labels", "bad,good"),
        *("--drop-leaked", "--output", tmp_path / "other"),
    )
    result = weir("export", run, "--data", tmp_path / "other")

    assert isinstance(result.exception, InputError)
    assert "labels bad, good of the data" in str(result.exception)


def test_candidates_are_compared_in_one_table(
    static: Exported, run: Path, export: Export, weir: Weir, data: Path, tmp_path: Path
) -> None:
    export("--quantisation", "none")
    output = tmp_path / "candidates.md"

    result = weir("compare", run, tmp_path / "copy", "--data", data, "--output", output)

    assert result.exception is None, result.output
    head, _, *lines = output.read_text().splitlines()
    described = json.loads(output.with_suffix(".json").read_text())
    assert head.startswith("| run | layers | tokens known | MB | other dev | toys dev | ms at 16")
    assert [line.split(" | ")[0] for line in lines] == ["| two-layers", "| copy"]
    assert described[0]["throughput"]["fp32"]["ratio"] == 1.0
    assert set(described[1]["throughput"]) == {"fp32"}
    assert described[0]["accuracy"]["toys dev"]["served"] == static.metrics["toys dev"]["accuracy"]

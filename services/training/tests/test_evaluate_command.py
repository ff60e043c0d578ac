from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from training.domain import Example, InputError, StorageError
from training.encoded_rows import encode_rows
from training.graph_scoring import graph_logits, is_dynamic
from training.onnx_classifier import OnnxClassifier
from training.probabilities import softmax
from training.scored_model import open_model
from training.terminal import terminal_progress
from training.tokenizer import load_tokenizer

from .conftest import DEV_ROWS, Weir, make_rows, write_rows
from .exported_runs import make_run


@pytest.fixture(scope="session")
def run(built: Path) -> Path:
    return built / "work" / "toy-1"


def report(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / "evaluation.json").read_text())
    return document


def refusal(result: Result, error: type[Exception] = InputError) -> str:
    assert isinstance(result.exception, error), result.output
    return str(result.exception)


def test_a_package_is_as_accurate_as_its_manifest_says(
    weir: Weir, package: Path, dev_file: Path, tmp_path: Path
) -> None:
    result = weir("evaluate", package, "--data", dev_file, "--output", tmp_path, "--resamples", 20)

    assert result.exception is None, result.output
    document = report(tmp_path)
    manifest = yaml.safe_load((package / "model.yaml").read_text())
    (metrics,) = manifest["metrics"].values()
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert document["model"]["sha256"] == manifest["files"]["model.onnx"]
    assert document["data"]["rows"] == DEV_ROWS
    assert document["data"]["sources"] == {"toys": DEV_ROWS}
    assert "accuracy 0." in result.output or "accuracy 1." in result.output
    page = (tmp_path / "evaluation.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "zebra" not in page
    assert "would flatter it" in result.output


def test_torch_and_the_float_graph_say_the_same(
    weir: Weir, run: Path, data: Path, tmp_path: Path
) -> None:
    for graph in ("torch", "fp32"):
        result = weir(
            *("evaluate", run, "--data", data, "--graph", graph, "--resamples", 5),
            *("--output", tmp_path / graph),
        )
        assert result.exception is None, result.output
    torch, fp32 = report(tmp_path / "torch"), report(tmp_path / "fp32")

    assert torch["metrics"]["log_loss"]["value"] == pytest.approx(
        fp32["metrics"]["log_loss"]["value"], abs=1e-4
    )
    assert torch["confusion"] == fp32["confusion"]
    assert set(torch["data"]["sources"]) == {"other", "toys"}
    assert torch["mean_over_sources"] is not None
    assert (torch["model"]["graph"], fp32["model"]["graph"]) == ("torch", "fp32")


def test_two_models_are_compared_on_the_same_rows(
    weir: Weir, run: Path, package: Path, dev_file: Path, tmp_path: Path
) -> None:
    result = weir(
        *("evaluate", run, "--graph", "fp32", "--data", dev_file, "--against", package),
        *("--output", tmp_path, "--resamples", 20),
    )

    assert result.exception is None, result.output
    against = report(tmp_path)["against"]
    assert against["model"]["kind"] == "package"
    assert against["difference"]["accuracy"]["verdict"] == "open"
    assert "open: " in result.output


def test_rows_share_a_run_only_where_they_are_independent(run: Path, dynamic: Path) -> None:
    """Dynamic int8 answers are those of each text alone; others do not mind company."""
    examples = [Example(str(row["text"]), 0) for row in make_rows(24, seed=9)]
    model = run / "model"
    for graph, independent in (
        (model / "fused.onnx", True),
        (model / "int8.onnx", True),
        (dynamic, False),
    ):
        tokenizer = load_tokenizer(run / "model" / "tokenizer.json", 48)
        progress = terminal_progress()
        rows = encode_rows(
            tokenizer, examples, max_tokens=48, truncation="head", progress=progress, title="rows"
        )
        found = softmax(graph_logits(graph, rows, independent=independent, progress=progress))
        alone = OnnxClassifier(graph, tokenizer, max_tokens=48)
        for row, probabilities in zip(examples, found, strict=True):
            assert tuple(probabilities) == pytest.approx(
                alone.predict(row.text).probabilities, abs=1e-5
            )


def test_a_graph_tells_whether_it_is_quantised_dynamically(run: Path, dynamic: Path) -> None:
    assert is_dynamic(dynamic)
    assert not is_dynamic(run / "model" / "int8.onnx")
    assert not is_dynamic(run / "model" / "fused.onnx")


def changed(package: Path, target: Path, **keys: Any) -> Path:
    shutil.copytree(package, target)
    manifest = yaml.safe_load((package / "model.yaml").read_text())
    (target / "model.yaml").write_text(yaml.safe_dump({**manifest, **keys}))
    return target


def test_the_temperature_of_a_package_is_applied(
    weir: Weir, package: Path, dev_file: Path, tmp_path: Path
) -> None:
    warm = changed(package, tmp_path / "warm", temperature=4.0)
    for name, model in (("plain", package), ("warm", warm)):
        result = weir(
            "evaluate", model, "--data", dev_file, "--output", tmp_path / name, "--resamples", 2
        )
        assert result.exception is None, result.output
    plain, soft = report(tmp_path / "plain"), report(tmp_path / "warm")

    assert soft["calibration"]["temperature"] == 4
    assert soft["confusion"] == plain["confusion"]
    assert soft["slices"][0]["mean_confidence"] < plain["slices"][0]["mean_confidence"]
    assert soft["calibration"]["fitted"] == plain["calibration"]["fitted"]


def test_an_exports_temperature_is_for_the_graph_that_it_was_fitted_to(tmp_path: Path) -> None:
    exported = make_run(tmp_path / "run") / "model" / "export.json"
    fields = json.loads(exported.read_text())
    exported.write_text(json.dumps({**fields, "temperature": 2.5}))
    shutil.copyfile(exported.with_name("fused.onnx"), exported.with_name("int8.onnx"))

    served, other = open_model(tmp_path / "run", "fp32"), open_model(tmp_path / "run", "int8")

    assert (served.temperature, other.temperature) == (2.5, 1.0)
    with pytest.raises(InputError, match=r"no model\.safetensors$"):
        open_model(tmp_path / "run", None)


def test_how_a_package_wants_to_be_run_is_read(package: Path, tmp_path: Path) -> None:
    wide = changed(
        package,
        tmp_path / "wide",
        inputs={"kind": "text", "max_tokens": 16, "truncation": "head_tail"},
        quantisation="none",
        batching={"independent": True},
    )
    opened = open_model(wide, None)

    assert (opened.max_tokens, opened.truncation) == (16, "head_tail")
    assert opened.description["graph"] == "fp32"
    long = [Example("great " * 40, 1)]
    assert len(opened.encode(long, terminal_progress())[0].ids) == 16


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"task": "tensors"}, "task tensors; only text-classification"),
        ({"labels": None}, "not the manifest"),
        ({"temperature": 0}, "not the manifest"),
        ({"inputs": {"max_tokens": 8, "truncation": "middle"}}, "not the manifest"),
        ({"files": {}}, "model.onnx: missing, or not the file"),
    ],
)
def test_a_package_that_cannot_be_read_is_refused(
    package: Path, tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        open_model(changed(package, tmp_path / "other", **keys), None)


def test_what_does_not_fit_is_told_in_one_line(
    weir: Weir, package: Path, run: Path, data: Path, dev_file: Path, tmp_path: Path
) -> None:
    out = ("--output", tmp_path / "out")
    other = changed(package, tmp_path / "other", labels=["bad", "good"])

    assert "labels negative, positive; the model has bad, good" in refusal(
        weir("evaluate", other, "--data", data, *out)
    )
    assert "labels bad, good" in refusal(
        weir("evaluate", package, "--data", data, "--against", other, *out)
    )
    assert "no rows in the split test; it has train, dev" in refusal(
        weir("evaluate", package, "--data", data, "--split", "test", *out)
    )
    assert "not a prepared data set" in refusal(weir("evaluate", package, "--data", tmp_path, *out))
    assert "neither a package" in refusal(weir("evaluate", tmp_path, "--data", data, *out))
    assert "the graph int8, not torch" in refusal(
        weir("evaluate", package, "--graph", "torch", "--data", data, *out)
    )
    assert not (tmp_path / "out").exists()


def test_a_run_without_graphs_is_sent_to_export(
    weir: Weir, run: Path, data: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(run / "model", bare, ignore=shutil.ignore_patterns("*.onnx"))

    assert "run weir-train export" in refusal(
        weir("evaluate", bare, "--graph", "int8", "--data", data, "--output", tmp_path / "out")
    )


def test_rows_of_one_label_have_no_roc_and_the_command_goes_on(
    weir: Weir, package: Path, tmp_path: Path
) -> None:
    rows = [row for row in make_rows(20, seed=4) if row["label"] == 1]
    result = weir(
        *("evaluate", package, "--data", write_rows(tmp_path / "shop" / "test.jsonl", rows)),
        *("--output", tmp_path / "out", "--resamples", 5),
    )

    assert result.exception is None, result.output
    assert "roc_auc undefined: every row has the label positive" in result.output
    assert report(tmp_path / "out")["metrics"]["roc_auc"]["value"] is None
    assert report(tmp_path / "out")["data"]["split"] == "test"


def test_a_report_that_cannot_be_written_is_told(
    weir: Weir, package: Path, dev_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")

    said = refusal(
        weir("evaluate", package, "--data", dev_file, "--output", tmp_path / "taken"), StorageError
    )

    assert "taken" in said

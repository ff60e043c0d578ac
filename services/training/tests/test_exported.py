from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from training.domain import InputError
from training.exported import (
    Batching,
    Check,
    Exported,
    Projection,
    read_exported,
    write_exported,
)
from training.truncation import cut_middle


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    (tmp_path / "int8.onnx").write_bytes(b"graph")
    return Exported(
        directory=tmp_path,
        quantisation="static",
        labels=("negative", "positive"),
        max_tokens=48,
        truncation="head_tail",
        temperature=1.25,
        batching=Batching(independent=True),
        projection=Projection(),
        golden_tolerance=0.01,
        layers=6,
        vocabulary=30,
        metrics={"toys dev": {"rows": 60, "accuracy": 0.9}},
        data=({"name": "toys", "split": "dev", "rows": 60, "sha256": "0" * 64},),
        checks=(Check("agreement", 0.995, 0.99, "at least"),),
        speed={},
        confidence=None,
        activations={"rows": 10},
        files={"int8.onnx": {"bytes": 5, "sha256": hashlib.sha256(b"graph").hexdigest()}},
    )


def test_what_was_written_is_read_again(exported: Exported) -> None:
    write_exported(exported)

    assert read_exported(exported.directory) == exported


def test_a_package_is_told_how_to_run_the_graph(exported: Exported) -> None:
    assert exported.inputs(5000) == {
        "kind": "text",
        "max_characters": 5000,
        "max_tokens": 48,
        "truncation": "head_tail",
    }
    assert exported.serving() == {
        "temperature": 1.25,
        "quantisation": "static",
        "batching": {"independent": True, "max_items": 16, "max_padded_tokens": 2048},
        "golden_tolerance": 0.01,
        "projection": {"output": "projection", "dimensions": 64},
    }


def test_a_graph_without_projection_declares_none(exported: Exported) -> None:
    assert "projection" not in dataclasses.replace(exported, projection=None).serving()


def test_the_unquantised_graph_is_served_where_that_was_asked_for(exported: Exported) -> None:
    assert exported.graph.name == "int8.onnx"
    assert dataclasses.replace(exported, quantisation="none").graph.name == "fused.onnx"


@pytest.mark.parametrize(
    ("value", "bound", "passed"),
    [
        (1.0, "at most", True),
        (1.1, "at most", False),
        (1.0, "at least", True),
        (0.9, "at least", False),
        (float("nan"), "at least", False),
        (float("nan"), "at most", False),
    ],
)
def test_a_check_holds_a_figure_against_its_limit(
    exported: Exported, value: float, bound: str, passed: bool
) -> None:
    check = Check("figure", value, 1.0, "at most" if bound == "at most" else "at least")
    described = dataclasses.replace(exported, checks=(check,))
    path = write_exported(described)

    assert [of["passed"] for of in json.loads(path.read_text())["checks"]] == [passed]
    assert bool(described.failed) is not passed
    assert ("FAILED" in str(check)) is not passed


def test_a_model_that_was_not_exported_is_told_apart_from_a_broken_one(
    exported: Exported, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no export\.json\); run weir-train export"):
        read_exported(tmp_path)
    path = write_exported(exported)
    (tmp_path / "int8.onnx").write_bytes(b"another")
    with pytest.raises(InputError, match=r"int8\.onnx: changed since it was exported"):
        read_exported(tmp_path)
    (tmp_path / "int8.onnx").unlink()
    with pytest.raises(InputError, match=r"no int8\.onnx"):
        read_exported(tmp_path)
    path.write_text("{}")
    with pytest.raises(InputError, match="not the record of an export"):
        read_exported(tmp_path)
    path.write_text('{"format": 9}')
    with pytest.raises(InputError, match="another format"):
        read_exported(tmp_path)


@pytest.mark.parametrize(
    ("length", "limit", "kept"),
    [(8, 8, list(range(8))), (9, 8, [0, 1, 3, 4, 5, 6, 7, 8]), (20, 3, [0, 18, 19])],
)
def test_a_long_text_keeps_a_quarter_of_head_and_the_rest_of_tail(
    length: int, limit: int, kept: list[int]
) -> None:
    assert cut_middle(list(range(length)), limit) == kept

"""A model package of named tensors: two features in, a score and probabilities out."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from testkit.tiny_model import write_routing

LABELS = ("stays", "leaves")


def leaving_probability(age: float, visits: int) -> float:
    """What the model answers."""
    return 1.0 / (1.0 + math.exp(-(age - visits)))


def write_tensor_package(
    repository: Path,
    name: str = "churn",
    version: str = "1",
    *,
    rows: int = -1,
    classifies: bool = True,
    **manifest: Any,
) -> Path:
    """Writes a package and the routing that sends everything to it; returns its directory.

    It takes `age` (FP32 [rows, 1]) and `visits` (INT64 [rows, 1]; the graph fails beyond 9), and
    gives `score` and, if it classifies, `probabilities`.

    Args:
        rows: 1 for a graph that takes one row at a time.
        manifest: replaces parts of `model.yaml`.
    """
    directory = repository / name / version
    directory.mkdir(parents=True)
    onnx.save(_graph(rows, classifies), str(directory / "model.onnx"))
    golden = [_golden(age, visits, classifies) for age, visits in ((2.5, 1), (0.5, 3))]
    (directory / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in golden))
    write_tensor_manifest(directory, rows=rows, classifies=classifies, **manifest)
    write_routing(repository / name, {version: 100})
    return directory


def write_tensor_manifest(
    directory: Path, *, rows: int = -1, classifies: bool = True, **replaced: Any
) -> None:
    """Writes `model.yaml` with the hashes of the files that lie beside it."""
    outputs = [{"name": "score", "datatype": "FP32", "shape": [rows, 1]}]
    if classifies:
        outputs.append({"name": "probabilities", "datatype": "FP32", "shape": [rows, 2]})
    manifest: dict[str, Any] = {
        "format": 1,
        "name": directory.parent.name,
        "version": directory.name,
        "task": "tensors",
        "inputs": {
            "kind": "tensors",
            "tensors": [
                {"name": "age", "datatype": "FP32", "shape": [rows, 1]},
                {"name": "visits", "datatype": "INT64", "shape": [rows, 1]},
            ],
        },
        "outputs": outputs,
        "golden_tolerance": 0.001,
        "files": {
            file: hashlib.sha256((directory / file).read_bytes()).hexdigest()
            for file in ("model.onnx", "golden.jsonl")
        },
    }
    if classifies:
        manifest |= {"labels": list(LABELS), "probabilities": "probabilities"}
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest | replaced))


def _golden(age: float, visits: int, classifies: bool) -> dict[str, Any]:
    leaving = leaving_probability(age, visits)
    outputs: dict[str, Any] = {"score": [[age - visits]]}
    if classifies:
        outputs["probabilities"] = [[1 - leaving, leaving]]
    return {"tensors": {"age": [[age]], "visits": [[visits]]}, "outputs": outputs}


def _graph(rows: int, classifies: bool) -> onnx.ModelProto:
    """Builds score = age - visits, and softmax(0, score); `visits` is looked up among ten."""
    axis = "rows" if rows == -1 else rows
    nodes = [
        helper.make_node("Gather", ["numbers", "visits"], ["many"]),
        helper.make_node("Sub", ["age", "many"], ["score"]),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, [axis, 1])]
    if classifies:
        nodes += [
            helper.make_node("Mul", ["score", "nothing"], ["zero"]),
            helper.make_node("Concat", ["zero", "score"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [axis, 2]))
    graph = helper.make_graph(
        nodes=nodes,
        name="tiny",
        inputs=[
            helper.make_tensor_value_info("age", TensorProto.FLOAT, [axis, 1]),
            helper.make_tensor_value_info("visits", TensorProto.INT64, [axis, 1]),
        ],
        outputs=outputs,
        initializer=[
            numpy_helper.from_array(np.arange(10, dtype=np.float32), "numbers"),
            numpy_helper.from_array(np.zeros(1, dtype=np.float32), "nothing"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

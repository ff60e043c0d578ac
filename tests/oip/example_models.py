"""The models that the public clients' own examples ask: `simple` and `simple_identity`."""

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper

from testkit.tiny_model import write_routing

_WIDTH = 16


def write_example_models(repository: Path) -> None:
    """Writes both packages."""
    first, second = list(range(_WIDTH)), [1] * _WIDTH
    _write(
        repository,
        "simple",
        nodes=[
            helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
            helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
        ],
        inputs=["INPUT0", "INPUT1"],
        outputs=["OUTPUT0", "OUTPUT1"],
        datatype="INT32",
        golden={
            "tensors": {"INPUT0": [first], "INPUT1": [second]},
            "outputs": {
                "OUTPUT0": [[each + 1 for each in first]],
                "OUTPUT1": [[each - 1 for each in first]],
            },
        },
    )
    words = [f"word {number}" for number in range(_WIDTH)]
    _write(
        repository,
        "simple_identity",
        nodes=[helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])],
        inputs=["INPUT0"],
        outputs=["OUTPUT0"],
        datatype="BYTES",
        golden={"tensors": {"INPUT0": [words]}, "outputs": {"OUTPUT0": [words]}},
    )


def _write(
    repository: Path,
    name: str,
    *,
    nodes: list[onnx.NodeProto],
    inputs: list[str],
    outputs: list[str],
    datatype: str,
    golden: dict[str, Any],
) -> None:
    directory = repository / name / "1"
    directory.mkdir(parents=True)
    kind = {"INT32": TensorProto.INT32, "BYTES": TensorProto.STRING}[datatype]

    def values(names: list[str]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(each, kind, ["rows", _WIDTH]) for each in names]

    def specs(names: list[str]) -> list[dict[str, Any]]:
        return [{"name": each, "datatype": datatype, "shape": [-1, _WIDTH]} for each in names]

    graph = helper.make_graph(nodes, name, inputs=values(inputs), outputs=values(outputs))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(directory / "model.onnx"))
    (directory / "golden.jsonl").write_text(json.dumps(golden) + "\n")
    manifest = {
        "format": 1,
        "name": name,
        "version": "1",
        "task": "tensors",
        "inputs": {"kind": "tensors", "tensors": specs(inputs)},
        "outputs": specs(outputs),
        "golden_tolerance": 0.001,
        "files": {
            file: hashlib.sha256((directory / file).read_bytes()).hexdigest()
            for file in ("model.onnx", "golden.jsonl")
        },
    }
    (directory / "model.yaml").write_text(yaml.safe_dump(manifest))
    write_routing(repository / name, {"1": 100})

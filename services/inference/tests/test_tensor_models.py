"""Models of named tensors: what they take, what they give, and what they must be to serve."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.domain import Caller, Fault, FeatureValue, Item, Rejection, Scored
from inference.manifest import TensorSpec
from inference.package import PackageInvalid
from inference.runnable import Prepared
from inference.tensor_values import array_of, digest
from inference.version_loading import LoadedVersion, load_version
from testkit.tiny_model import write_manifest, write_tiny_package
from testkit.tiny_tensors import leaving_probability, write_tensor_manifest, write_tensor_package

CALLER = Caller("acme", "a-1")


def row(age: float = 2.5, visits: int = 1) -> dict[str, Any]:
    return {
        "age": np.array([[age]], dtype=np.float32),
        "visits": np.array([[visits]], dtype=np.int64),
    }


def item(age: float = 2.5, visits: int = 1) -> Item:
    return Item(None, CALLER, "r-1", tensors=row(age, visits))


def replacing(name: str, tensor: Any) -> Item:
    return Item(None, CALLER, "r-1", tensors=row() | {name: tensor})


def zeros(*shape: int) -> Any:
    return np.zeros(shape, dtype=np.float32)


def prepared(loaded: LoadedVersion, each: Item) -> Prepared:
    found = loaded.model.prepare(each)
    assert not isinstance(found, Rejection), found.message
    return found


def answers(loaded: LoadedVersion, *items: Item) -> list[Scored]:
    return loaded.model.run([prepared(loaded, each) for each in items])


def test_rows_run_together_and_each_gets_its_own_outputs(tmp_path: Path) -> None:
    loaded = load_version(write_tensor_package(tmp_path))
    assert loaded.model.batching.independent
    found = answers(loaded, item(2.5, 1), item(0.25, 3))
    for scored, (age, visits) in zip(found, ((2.5, 1), (0.25, 3)), strict=True):
        assert scored.outputs is not None
        assert scored.outputs["score"].tolist() == [[age - visits]]
        leaving = leaving_probability(age, visits)
        assert scored.probabilities == pytest.approx({"stays": 1 - leaving, "leaves": leaving})
        assert (scored.facts.characters, scored.facts.tokens) == (0, 0)


def test_graph_that_takes_one_row_is_given_one(tmp_path: Path) -> None:
    loaded = load_version(write_tensor_package(tmp_path, rows=1))
    assert (loaded.model.batching.independent, loaded.model.batching.max_items) == (False, 1)
    assert answers(loaded, item())[0].probabilities["leaves"] > 0.5


def test_manifest_may_limit_what_runs_together_and_what_waits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"batching": {"max_items": 7}, "limits": {"max_waiting_items": 5}}
    model = load_version(write_tensor_package(tmp_path, **options)).model
    assert (model.batching.max_items, model.max_waiting_items) == (7, 5)
    alone = write_tensor_package(tmp_path, version="2", batching={"independent": False})
    assert load_version(alone).model.batching.max_items == 1


def test_model_without_labels_gives_outputs_alone(tmp_path: Path) -> None:
    (scored,) = answers(load_version(write_tensor_package(tmp_path, classifies=False)), item())
    assert scored.probabilities == {}
    assert scored.outputs is not None
    assert scored.outputs.keys() == {"score"}


@pytest.mark.parametrize(
    ("each", "fault", "told"),
    [
        (Item(None, CALLER, "r"), Fault.INPUT_MISSING, "no input"),
        (Item("text", CALLER, "r"), Fault.INPUT_KIND, "takes tensors"),
        (replacing("more", zeros(1, 1)), Fault.TENSORS_INVALID, "age, visits"),
        (Item(None, CALLER, "r", tensors={}), Fault.TENSORS_INVALID, "age, visits"),
        (replacing("visits", zeros(1, 1)), Fault.TENSORS_INVALID, "visits must be of INT64"),
        (replacing("age", zeros(2, 1)), Fault.TENSORS_INVALID, "age must be of shape [1, 1]"),
        (replacing("age", zeros(1, 2)), Fault.TENSORS_INVALID, "age must be of shape"),
        (replacing("age", zeros(1)), Fault.TENSORS_INVALID, "age must be of shape"),
    ],
)
def test_wrong_input_is_rejected_with_its_fault(
    tmp_path: Path, each: Item, fault: Fault, told: str
) -> None:
    rejection = load_version(write_tensor_package(tmp_path)).model.prepare(each)
    assert isinstance(rejection, Rejection)
    assert (rejection.fault, told in rejection.message) == (fault, True)


def test_input_that_the_graph_fails_on_fails_without_being_told(tmp_path: Path) -> None:
    loaded = load_version(write_tensor_package(tmp_path))
    with pytest.raises(ValueError, match=r"the graph failed: InvalidArgument$"):
        answers(loaded, item(visits=77))


def test_equal_rows_have_one_digest_and_others_another(tmp_path: Path) -> None:
    loaded = load_version(write_tensor_package(tmp_path))
    big_endian = item(age=2.5)
    assert big_endian.tensors is not None
    swapped = dict(big_endian.tensors) | {"age": np.array([[2.5]], dtype=">f4")}
    found = answers(loaded, item(age=2.5), Item(None, CALLER, "r", tensors=swapped), item(age=2.25))
    first, second, other = (scored.facts.sha256 for scored in found)
    assert first == second != other
    assert found[1].probabilities == found[0].probabilities


def test_digest_is_the_documented_one() -> None:
    spec = TensorSpec(name="s", datatype="BYTES", shape=(-1,))
    length = (1).to_bytes(8, "little")
    encoded = (
        *(length, b"s", (5).to_bytes(8, "little"), b"BYTES"),
        *(length, length, (2).to_bytes(8, "little"), b"\xc3\xa4"),
    )
    expected = hashlib.sha256(b"".join(encoded)).digest()
    assert digest({"s": array_of(["ä"], "BYTES")}, {"s": spec}) == expected


@pytest.mark.parametrize(
    ("features", "fault"),
    [
        ({"age": 2.5, "visits": 1.0}, None),
        ({"age": None, "visits": 1.0}, None),
        ({"visits": 1.0}, None),
        ({"age": 2.5, "visits": 1.5}, Fault.TENSORS_INVALID),
        ({"age": 2.5, "visits": 1e300}, Fault.TENSORS_INVALID),
        ({"age": 2.5}, Fault.TENSORS_INVALID),
        ({"age": "old", "visits": 1.0}, Fault.TENSORS_INVALID),
        ({"age": True, "visits": 1.0}, Fault.TENSORS_INVALID),
        ({"age": 2.5, "visits": 1.0, "height": 2.0}, Fault.TENSORS_INVALID),
    ],
)
def test_row_by_feature_name_is_one_column_for_each(
    tmp_path: Path, features: dict[str, FeatureValue], fault: Fault | None
) -> None:
    loaded = load_version(write_tensor_package(tmp_path, classifies=False))
    found = loaded.model.prepare(Item(None, CALLER, "r", row=features))
    if isinstance(found, Rejection):
        assert found.fault is fault
        return
    assert fault is None
    (scored,) = loaded.model.run([found])
    assert scored.outputs is not None
    assert np.isnan(scored.outputs["score"][0, 0]) == (features.get("age") is None)


def declare(**changes: Any) -> Callable[[Path], None]:
    """Declares an input otherwise than the graph has it."""

    def damage(directory: Path) -> None:
        age = {"name": "age", "datatype": "FP32", "shape": [-1, 1]} | changes
        visits = {"name": "visits", "datatype": "INT64", "shape": [-1, 1]}
        write_tensor_manifest(directory, inputs={"kind": "tensors", "tensors": [age, visits]})

    return damage


def expect_another_score(directory: Path) -> None:
    golden = {"tensors": {"age": [[2.5]], "visits": [[1]]}, "outputs": {"score": [[1.6]]}}
    (directory / "golden.jsonl").write_text(json.dumps(golden))
    write_tensor_manifest(directory)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (declare(datatype="FP64"), r"age is declared as FP64 and is a tensor\(float\)"),
        (declare(shape=[-1, 2]), r"age is declared as \[-1, 2\] and is \[-1, 1\]"),
        (declare(shape=[-1]), "age is declared as"),
        (declare(shape=[3, 1]), "first dimension counts rows"),
        (declare(datatype="FP8"), "datatype"),
        (declare(name="years"), "the graph also takes age|does not name the model's tensors"),
        (lambda it: write_tensor_manifest(it, probabilities="score"), "one per label"),
        (lambda it: write_tensor_manifest(it, probabilities="odds"), "no output 'odds'"),
        (lambda it: write_tensor_manifest(it, probabilities=""), "go together"),
        (lambda it: write_tensor_manifest(it, outputs=[]), "outputs"),
        (expect_another_score, "score is off by more than 0.001"),
    ],
)
def test_package_that_is_not_what_it_says_must_not_serve(
    tmp_path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    directory = write_tensor_package(tmp_path)
    damage(directory)
    with pytest.raises(PackageInvalid, match=complaint):
        load_version(directory)


def test_graph_for_texts_is_no_model_of_tensors(tmp_path: Path) -> None:
    directory = write_tiny_package(tmp_path)
    write_manifest(directory, task="tensors")
    with pytest.raises(PackageInvalid, match="tensors"):
        load_version(directory)

"""References as packages carry them."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from datasketches import kll_floats_sketch

from drift.domain import ModelVersion, ReferenceInvalid, ReferenceMissing
from drift.reference_repository import ReferenceRepository
from drift.signals import CONFIDENCE, LABEL

REVIEWS = ModelVersion("reviews", "1")
WriteReference = Callable[..., Path]


def test_reference_is_read_whole(repository: Path, write_reference: WriteReference) -> None:
    write_reference()
    reference = ReferenceRepository(repository).find(REVIEWS)
    assert reference.source == "made-up, test split"
    assert reference.window.rows == 2000
    assert reference.window.category(LABEL).rows == 2000


def test_sketch_of_another_accuracy_is_taken(
    repository: Path, write_reference: WriteReference
) -> None:
    path = write_reference()
    content = json.loads(path.read_text())
    sketch = kll_floats_sketch(200)
    for value in range(2000):
        sketch.update(value / 2000)
    content["signals"]["confidence"]["kll"] = base64.b64encode(sketch.serialize()).decode()
    path.write_text(json.dumps(content))
    reference = ReferenceRepository(repository).find(REVIEWS)
    confidence = reference.window.number(CONFIDENCE)
    assert confidence.summary().quantiles[2] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("present", [True, False])
def test_missing_reference_is_named(repository: Path, present: bool) -> None:
    if present:
        (repository / "reviews" / "1").mkdir(parents=True)
    with pytest.raises(ReferenceMissing, match="reviews/1"):
        ReferenceRepository(repository).find(REVIEWS)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"model": "other"},
        {"model_version": "2"},
        {"rows": 5},
        {"rows": "2000"},
        {"signals": []},
        {"source": None},
    ],
)
def test_reference_that_does_not_fit_is_invalid(
    repository: Path, write_reference: WriteReference, changes: dict[str, object]
) -> None:
    path = write_reference(rows=50)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ReferenceInvalid):
        ReferenceRepository(repository).find(REVIEWS)


@pytest.mark.parametrize(
    ("signal", "field", "value"),
    [
        ("confidence", "mean", 7.0),
        ("confidence", "mean", float("nan")),
        ("confidence", "variance", -1.0),
        ("confidence", "kll", "not base64!"),
        ("confidence", "kll", "AAAAAAAAAAAA"),
        ("confidence", "rows", 49),
        ("unknown_token_rate", "numerator", 1e9),
        ("unknown_token_rate", "kind", "number"),
        ("label", "counts", {"negative": -1}),
        ("label", "counts", {"negative": 51}),
    ],
)
def test_signal_that_cannot_be_true_is_invalid(
    repository: Path, write_reference: WriteReference, signal: str, field: str, value: object
) -> None:
    path = write_reference(rows=50)
    content = json.loads(path.read_text())
    content["signals"][signal][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ReferenceInvalid):
        ReferenceRepository(repository).find(REVIEWS)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b" " * (17 * 1024 * 1024)])
def test_file_that_is_no_reference_is_invalid(
    repository: Path, write_reference: WriteReference, content: bytes
) -> None:
    write_reference(rows=50).write_bytes(content)
    with pytest.raises(ReferenceInvalid):
        ReferenceRepository(repository).find(REVIEWS)


def test_directory_in_place_of_the_file_is_invalid(repository: Path) -> None:
    (repository / "reviews" / "1" / "reference.json").mkdir(parents=True)
    with pytest.raises(ReferenceInvalid):
        ReferenceRepository(repository).find(REVIEWS)


def test_file_is_read_once_until_it_changes(
    repository: Path, write_reference: WriteReference
) -> None:
    path = write_reference(rows=50)
    references = ReferenceRepository(repository)
    first = references.find(REVIEWS)
    assert references.find(REVIEWS) is first
    write_reference(rows=60)
    os.utime(path, ns=(1, 1))
    assert references.find(REVIEWS).window.rows == 60


def test_mended_reference_is_seen(repository: Path, write_reference: WriteReference) -> None:
    path = write_reference(rows=50)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    references = ReferenceRepository(repository)
    for _ in range(2):
        with pytest.raises(ReferenceInvalid):
            references.find(REVIEWS)
    path.write_bytes(whole)
    assert references.find(REVIEWS).window.rows == 50


def test_cache_does_not_grow_without_end(repository: Path, write_reference: WriteReference) -> None:
    path = write_reference(rows=30)
    references = ReferenceRepository(repository)
    content = json.loads(path.read_text())
    for number in range(1, 103):
        other = repository / "reviews" / str(number) / "reference.json"
        other.parent.mkdir(exist_ok=True)
        other.write_text(json.dumps(content | {"model_version": str(number)}))
        references.find(ModelVersion("reviews", str(number)))
    oldest = references.find(REVIEWS)
    assert references.find(REVIEWS) is oldest


def test_newest_version_counts_numbers_as_numbers(
    repository: Path, write_reference: WriteReference
) -> None:
    references = ReferenceRepository(repository)
    assert references.newest_version("reviews") is None
    for version in ("9", "10", "beta"):
        write_reference(ModelVersion("reviews", version), rows=30)
    (repository / "reviews" / "11").mkdir()
    assert references.newest_version("reviews") == "10"

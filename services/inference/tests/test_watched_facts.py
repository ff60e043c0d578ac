"""What goes on record for drift watch: no input, and nothing that a package did not allow."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from redis.asyncio import Redis

from inference.domain import Caller, Item, Rejection, Scored
from inference.package import PackageInvalid
from inference.predictor import prediction_of
from inference.projection import projections
from inference.recorder import Recorder
from inference.version_loading import LoadedVersion, load_version
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import new_id
from testkit.tiny_model import write_manifest, write_tiny_package
from testkit.tiny_tensors import write_tensor_manifest, write_tensor_package
from weir.events.v1 import events_pb2

CALLER = Caller("acme", "a-1")
Recorded = Callable[[], Awaitable[list[events_pb2.PredictionRecorded]]]


def projecting_package(root: Path) -> Path:
    """One whose graph also gives its logits as the projection."""
    directory = write_tiny_package(root)
    model = onnx.load(str(directory / "model.onnx"))
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["projection"]))
    model.graph.output.append(
        helper.make_tensor_value_info("projection", TensorProto.FLOAT, ["batch", 2])
    )
    onnx.save(model, str(directory / "model.onnx"))
    write_manifest(directory)
    return directory


def answer(loaded: LoadedVersion, item: Item) -> Scored:
    prepared = loaded.model.prepare(item)
    assert not isinstance(prepared, Rejection), prepared.message
    (scored,) = loaded.model.run([prepared])
    return scored


def text(content: str) -> Item:
    return Item(content, CALLER, "r-1")


async def record(redis: Redis, loaded: LoadedVersion, item: Item) -> None:
    prediction = prediction_of(loaded.model, item, answer(loaded, item), new_id())
    await Recorder(EventPublisher(redis), "weir:predictions:0", "block").record([prediction])


def table_row(age: float) -> Item:
    tensors = {"age": np.array([[age]], np.float32), "visits": np.array([[2]], np.int64)}
    return Item(None, CALLER, "r-1", tensors=tensors)


async def test_projection_and_letters_of_a_text_are_recorded(
    tmp_path: Path, redis: Redis, recorded: Recorded
) -> None:
    loaded = load_version(projecting_package(tmp_path))
    await record(redis, loaded, text("good day здесь"))
    (event,) = await recorded()
    values = np.frombuffer(event.projection.values, np.int8) * event.projection.scale
    shares = np.exp(values) / np.exp(values).sum()
    assert shares[1] == pytest.approx(event.probabilities["positive"], abs=0.01)
    assert dict(event.input.letters) == {"latin": 7, "cyrillic": 5}
    assert b"good" not in event.SerializeToString()


async def test_graph_without_a_projection_serves_and_records_none(
    tmp_path: Path, redis: Redis, recorded: Recorded
) -> None:
    await record(redis, load_version(write_tiny_package(tmp_path)), text("good day"))
    (event,) = await recorded()
    assert not event.HasField("projection")


def test_projection_of_64_dimensions_takes_at_most_80_bytes() -> None:
    states = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    for found, state in zip(projections(states, 3), states, strict=True):
        assert found is not None
        event = events_pb2.PredictionRecorded(
            projection=events_pb2.Projection(values=found.values, scale=found.scale)
        )
        assert event.ByteSize() <= 80
        restored = np.frombuffer(found.values, np.int8) * found.scale
        assert np.abs(restored - state).max() <= np.abs(state).max() * 0.004


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_state_that_is_not_finite_has_no_projection_and_spoils_no_other(broken: float) -> None:
    states = np.ones((2, 4), np.float32)
    states[0, 2] = broken
    lost, kept = projections(states, 2)
    assert lost is None
    assert kept is not None
    assert kept.values == bytes([127] * 4)


def test_state_of_zeros_is_kept() -> None:
    (found,) = projections(np.zeros((1, 4), np.float32), 1)
    assert found is not None
    assert (found.values, found.scale) == (bytes(4), 0.0)


@pytest.mark.parametrize("states", [None, np.ones((2, 0)), np.ones((2, 257)), np.ones(2)])
def test_states_of_another_shape_are_not_kept(states: Any) -> None:
    assert projections(states, 2) == [None, None]


WATCHED = [
    {"tensor": "age", "minimum": 0, "maximum": 120},
    {"tensor": "visits"},
    {"tensor": "score", "name": "the score"},
]


async def test_watched_numbers_of_a_table_are_recorded(
    tmp_path: Path, redis: Redis, recorded: Recorded
) -> None:
    directory = write_tensor_package(tmp_path, classifies=False)
    write_tensor_manifest(directory, classifies=False, watched=WATCHED)
    loaded = load_version(directory)
    for age in (40.5, 130.0, float("nan"), float("inf")):
        await record(redis, loaded, table_row(age))
    events = await recorded()
    assert [event.features["age"] for event in events[:2]] == [40.5, 130.0]
    assert np.isnan(events[2].features["age"])
    assert events[0].features["visits"] == 2
    assert events[0].predicted_values["the score"] == 38.5
    assert [list(event.features_out_of_range) for event in events] == [[], ["age"], [], ["age"]]


async def test_table_of_which_nothing_is_watched_leaves_no_value_on_record(
    tmp_path: Path, redis: Redis, recorded: Recorded
) -> None:
    await record(redis, load_version(write_tensor_package(tmp_path)), table_row(40.5))
    (event,) = await recorded()
    assert not event.features
    assert not event.predicted_values


@pytest.mark.parametrize(
    "watched",
    [
        [{"tensor": "unknown"}],
        [{"tensor": "age"}, {"tensor": "visits", "name": "age"}],
        [{"tensor": "age", "minimum": 2, "maximum": 1}],
        [{"tensor": "age", "name": str(number)} for number in range(257)],
    ],
)
def test_package_that_has_nonsense_watched_is_refused(
    tmp_path: Path, watched: list[dict[str, object]]
) -> None:
    directory = write_tensor_package(tmp_path)
    write_tensor_manifest(directory, watched=watched)
    with pytest.raises(PackageInvalid, match="watched"):
        load_version(directory)

"""Events that make sense, and those that do not."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from drift.event_converters import EventInvalid, to_feedback, to_prediction
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2

FINE = events_pb2.PredictionRecorded(
    model="reviews",
    model_version="1",
    predicted_at=Timestamp(seconds=1_800_000_000, nanos=5_000_000),
    input=events_pb2.InputFacts(tokens=12, unknown_tokens=1, special_tokens=2),
    label="positive",
    confidence=0.75,
)
FEEDBACK = events_pb2.FeedbackRecorded(
    model="reviews", model_version="1", predicted_label="positive", correct_label="negative"
)


def event(message: Any, **changes: Any) -> Event:
    changed = type(message)()
    changed.CopyFrom(message)
    changed.MergeFrom(type(message)(**changes))
    return Event("1-0", changed.DESCRIPTOR.full_name, changed.SerializeToString(), "")


def test_tokens_of_the_text_leave_out_the_special_ones() -> None:
    prediction = to_prediction(event(FINE))
    assert (prediction.input_tokens, prediction.text_tokens, prediction.unknown_tokens) == (
        12,
        10,
        1,
    )
    assert (prediction.label, prediction.confidence) == ("positive", 0.75)
    assert prediction.predicted_at.timestamp() == 1_800_000_000.005
    assert str(prediction.about) == "reviews/1"


@pytest.mark.parametrize("confidence", [float("nan"), float("inf"), -0.01, 1.01])
def test_confidence_that_is_no_probability_is_refused(confidence: float) -> None:
    with pytest.raises(EventInvalid, match="confidence"):
        to_prediction(event(FINE, confidence=confidence))


@pytest.mark.parametrize("facts", [{"special_tokens": 13}, {"unknown_tokens": 11}])
def test_tokens_that_do_not_add_up_are_refused(facts: dict[str, int]) -> None:
    with pytest.raises(EventInvalid, match="tokens"):
        to_prediction(event(FINE, input=events_pb2.InputFacts(**facts)))


@pytest.mark.parametrize("name", ["../../etc", ".hidden", "a/b", "a\\b", "a\nb", "x" * 101])
def test_model_that_cannot_be_a_directory_is_refused(name: str) -> None:
    for field in ("model", "model_version"):
        with pytest.raises(EventInvalid, match="name"):
            to_prediction(event(FINE, **{field: name}))


def test_prediction_without_a_model_is_refused() -> None:
    with pytest.raises(EventInvalid, match="name"):
        to_prediction(event(events_pb2.PredictionRecorded(predicted_at=FINE.predicted_at)))


def test_prediction_of_a_model_that_does_not_classify_is_not_watched() -> None:
    unlabelled = events_pb2.PredictionRecorded()
    unlabelled.CopyFrom(FINE)
    unlabelled.ClearField("label")
    assert to_prediction(event(unlabelled)) is None


def test_label_without_end_is_refused() -> None:
    with pytest.raises(EventInvalid, match="label"):
        to_prediction(event(FINE, label="x" * 101))


@pytest.mark.parametrize("seconds", [-1_800_000_000, 2**62])
def test_impossible_time_is_refused(seconds: int) -> None:
    with pytest.raises(EventInvalid, match="time"):
        to_prediction(event(FINE, predicted_at=Timestamp(seconds=seconds)))


def test_absent_time_is_refused() -> None:
    timeless = events_pb2.PredictionRecorded()
    timeless.CopyFrom(FINE)
    timeless.ClearField("predicted_at")
    with pytest.raises(EventInvalid, match="time"):
        to_prediction(event(timeless))


def test_bytes_of_no_message_are_refused() -> None:
    with pytest.raises(EventInvalid, match="undecodable"):
        to_prediction(Event("1-0", "weir.events.v1.PredictionRecorded", b"\xff\xff", ""))


def test_event_of_another_type_is_refused() -> None:
    with pytest.raises(EventInvalid, match="type"):
        to_prediction(event(FEEDBACK))


def test_feedback_agrees_when_the_labels_are_the_same() -> None:
    disagreed = to_feedback(event(FEEDBACK))
    agreed = to_feedback(event(FEEDBACK, correct_label="positive"))
    assert disagreed is not None
    assert agreed is not None
    assert (disagreed.agreed, agreed.agreed) == (False, True)


def test_feedback_without_a_correct_label_is_not_counted() -> None:
    scored = events_pb2.FeedbackRecorded(model="reviews", model_version="1", score=0.5)
    assert to_feedback(event(scored)) is None


def test_feedback_about_nothing_is_refused() -> None:
    with pytest.raises(EventInvalid, match="name"):
        to_feedback(event(events_pb2.FeedbackRecorded(correct_label="positive")))
    with pytest.raises(EventInvalid, match="label"):
        to_feedback(
            event(events_pb2.FeedbackRecorded(model="m", model_version="1", correct_label="x"))
        )

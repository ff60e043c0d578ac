"""Feedback over a real Redis: counted once, by version, and in the open window."""

from collections.abc import Sequence
from typing import Any

import pytest

from drift.domain import ModelVersion
from drift.signals import ACCURACY
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2

REVIEWS = ModelVersion("reviews", "1")
NEXT = ModelVersion("reviews", "2")
FEEDBACK = "weir:feedback"


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


def feedback(correct: str, about: ModelVersion = REVIEWS) -> events_pb2.FeedbackRecorded:
    return events_pb2.FeedbackRecorded(
        model=about.model,
        model_version=about.version,
        predicted_label="positive",
        correct_label=correct,
    )


async def test_feedback_is_counted_once_by_version(service: Any) -> None:
    await service.publisher.publish(
        FEEDBACK,
        [
            feedback("positive"),
            feedback("negative"),
            feedback("positive"),
            feedback("positive", NEXT),
            events_pb2.FeedbackRecorded(model="reviews", model_version="1", score=1.0),
        ],
    )

    async def die_after_storing(events: Sequence[Event]) -> None:
        await service.take_feedback(events)
        raise Killed

    with pytest.raises(Killed):
        await service.feedback.consume_once(die_after_storing)
    await service.again().consume()
    count = (await service.store.load(REVIEWS)).feedback
    assert (count.labelled, count.agreed) == (3, 2)
    assert (await service.store.load(NEXT)).feedback.labelled == 1


async def test_feedback_leaves_the_window_alone(service: Any, world: Any) -> None:
    await service.publish(*world.events(8))
    await service.consume()
    await service.publisher.publish(FEEDBACK, [feedback("positive")])
    await service.consume()
    assert await service.rows() == 8
    await service.publish(*world.events(2))
    await service.consume()
    assert (await service.store.load(REVIEWS)).feedback.labelled == 1


async def test_feedback_is_in_the_open_window_whatever_it_is_about(
    service: Any, world: Any
) -> None:
    await service.publish(*world.events(2))
    given = [
        events_pb2.FeedbackRecorded(
            model="reviews",
            model_version="1",
            correct_label="positive",
            predicted_label=label,
            confidence=0.75,
        )
        for label in ("positive", "positive", "negative")
    ]
    await service.publisher.publish(FEEDBACK, given)
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert state.open.rows == 2
    accuracy = state.open.observed.ratio(ACCURACY)
    assert (accuracy.numerator, accuracy.denominator) == (2, 3)

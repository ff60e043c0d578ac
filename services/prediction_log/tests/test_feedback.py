"""RecordFeedback, from the call over the stream to the row."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prediction_log.event_decoding import decode_feedback
from servicekit.errors import InvalidInput, PermissionDenied
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]


async def test_feedback_is_published_and_the_latest_is_shown(
    log: Any, facts: Any, call: Call, written: Call
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    first = await call(
        pb.RecordFeedbackRequest(
            prediction_id=fact.prediction_id, correct_label="negative", comment="Wrong."
        )
    )
    second = await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, score=0.25))
    published = await written()
    assert {event.type_name for event in published} == {"weir.events.v1.FeedbackRecorded"}
    answer = await call(pb.GetPredictionRequest(prediction_id=fact.prediction_id))
    shown = answer.prediction.feedback
    assert shown.feedback_id == second.feedback_id
    assert (shown.client_id, shown.correct_label, shown.score) == ("client-1", "", 0.25)
    assert shown.given_at.ToDatetime(UTC) <= datetime.now(UTC) + timedelta(seconds=1)
    (listed,) = (await call(pb.ListPredictionsRequest())).predictions
    assert listed == answer.prediction
    history = await log.rows("SELECT id, comment FROM feedback ORDER BY id")
    assert [str(row["id"]) for row in history] == [first.feedback_id, second.feedback_id]
    assert history[0]["comment"] == "Wrong."


async def test_feedback_tells_consumers_what_was_predicted(
    log: Any, facts: Any, call: Call, written: Call
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, correct_label="negative"))
    (event,) = await written()
    told = type(facts.feedback(fact)).FromString(event.data)
    assert (told.model, told.model_version) == ("sentiment", "1")
    assert (told.predicted_label, told.confidence) == ("positive", 0.75)
    assert (told.tenant, told.client_id) == ("tenant-1", "client-1")
    assert not told.HasField("score")


async def test_only_a_delegate_may_give_feedback_for_another_client(
    log: Any, facts: Any, call: Call, written: Call, issuer: FakeIssuer
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    request = pb.RecordFeedbackRequest(
        prediction_id=fact.prediction_id, tenant="tenant-1", client_id="client-9", score=1
    )
    with pytest.raises(PermissionDenied):
        await call(request)
    gateway = issuer.token("feedback:write", "delegate", client_id="weir-gateway", tenant="weir")
    await call(request, token=gateway)
    await written()
    assert await log.rows("SELECT client_id FROM feedback") == [{"client_id": "client-9"}]


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, ["correct_label", "score", "comment"]),
        ({"correct_label": "neutral"}, ["correct_label"]),
        ({"correct_label": "x" * 257}, ["correct_label"]),
        ({"score": 1.01}, ["score"]),
        ({"score": -0.01}, ["score"]),
        ({"score": float("nan")}, ["score"]),
        ({"comment": "x" * 2001}, ["comment"]),
        ({"comment": "a\0b"}, ["comment"]),
    ],
)
async def test_feedback_that_cannot_be_is_refused_and_not_published(
    log: Any, facts: Any, call: Call, written: Call, said: dict[str, Any], fields: list[str]
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    with pytest.raises(InvalidInput) as caught:
        await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, **said))
    assert [violation.field for violation in caught.value.violations] == fields
    assert await written() == []


@pytest.mark.parametrize("said", [{"score": 0.0}, {"score": 1.0}, {"comment": "x" * 2000}])
async def test_feedback_at_the_edges_is_taken(
    log: Any, facts: Any, call: Call, written: Call, said: dict[str, Any]
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, **said))
    await written()
    assert await log.count("feedback") == 1


async def test_latest_feedback_is_the_one_given_last_whatever_its_id(
    log: Any, facts: Any, call: Call
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    first = facts.feedback(fact, correct_label="positive")
    last = facts.feedback(fact, correct_label="negative")
    last.given_at.seconds += 1
    first.feedback_id, last.feedback_id = last.feedback_id, first.feedback_id
    await log.recorder(decode_feedback).record(facts.events(last, first))
    answer = await call(pb.GetPredictionRequest(prediction_id=fact.prediction_id))
    assert answer.prediction.feedback.correct_label == "negative"
    assert (await call(pb.GetStatsRequest())).accuracy == 0

"""GetPrediction and ListPredictions, over a real channel, on what a real PostgreSQL holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log import prediction_queries
from prediction_log.domain import PredictionFilter
from prediction_log.event_decoding import decode_feedback
from prediction_log.prediction_queries import PredictionQueries
from servicekit.errors import InvalidInput, NotFound
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1.keeping_pb2 import INPUT_KEEPING_NOTHING, Keeping

Call = Callable[..., Any]


async def test_prediction_is_found_as_it_was_recorded(log: Any, facts: Any, call: Call) -> None:
    fact = facts.prediction(delegate_id="gateway")
    await log.recorder().record(facts.events(fact))
    answer = await call(pb.GetPredictionRequest(prediction_id=fact.prediction_id))
    assert answer.prediction == pb.LoggedPrediction(
        prediction_id=fact.prediction_id,
        predicted_at=fact.predicted_at,
        model="sentiment",
        model_version="1",
        client_id="client-1",
        delegate_id="gateway",
        request_id="request-1",
        input_sha256="00" * 32,
        input_characters=40,
        input_tokens=12,
        label="positive",
        confidence=0.75,
        probabilities={"positive": 0.75, "negative": 0.25},
        inference_ms=3.5,
        keeping=Keeping(input=INPUT_KEEPING_NOTHING),
    )


async def test_unknown_prediction_is_not_found(call: Call) -> None:
    for identifier in (new_id(), uuid4()):
        with pytest.raises(NotFound) as caught:
            await call(pb.GetPredictionRequest(prediction_id=str(identifier)))
        assert caught.value.code == "PREDICTION_NOT_FOUND"


@pytest.mark.parametrize("identifier", ["", "42", "{" + str(uuid4()) + "}", "x" * 36, "\0" * 36])
async def test_id_that_is_no_uuid_is_an_invalid_field(call: Call, identifier: str) -> None:
    for request in (
        pb.GetPredictionRequest(prediction_id=identifier),
        pb.RecordFeedbackRequest(prediction_id=identifier, score=1.0),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call(request)
        assert [violation.field for violation in caught.value.violations] == ["prediction_id"]


async def pages(call: Call, limit: int, **filters: Any) -> list[list[str]]:
    """The ids of every page."""
    found: list[list[str]] = []
    cursor = ""
    while True:
        answer = await call(
            pb.ListPredictionsRequest(
                limit=limit, cursor=cursor, filter=pb.PredictionFilter(**filters)
            )
        )
        found.append([each.prediction_id for each in answer.predictions])
        cursor = answer.next_cursor
        if not cursor:
            return found


async def test_pages_hold_everything_once_newest_first(log: Any, facts: Any, call: Call) -> None:
    batch = [facts.prediction() for _ in range(7)]
    await log.recorder().record(facts.events(*batch))
    newest_first = [fact.prediction_id for fact in reversed(batch)]
    assert await pages(call, 3) == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert await pages(call, 7) == [newest_first]
    assert await pages(call, 0) == [newest_first]


async def test_later_pages_do_not_move_while_records_come(log: Any, facts: Any, call: Call) -> None:
    batch = [facts.prediction() for _ in range(6)]
    await log.recorder().record(facts.events(*batch))
    first = await call(pb.ListPredictionsRequest(limit=3))
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(4))))
    second = await call(pb.ListPredictionsRequest(limit=3, cursor=first.next_cursor))
    seen = [each.prediction_id for each in (*first.predictions, *second.predictions)]
    assert seen == [fact.prediction_id for fact in reversed(batch)]
    assert not second.next_cursor


async def test_filters_select_and_combine(log: Any, facts: Any, call: Call) -> None:
    plain = facts.prediction()
    other_model = facts.prediction(model="topic")
    other_version = facts.prediction(model_version="2")
    negative = facts.prediction(label="negative", confidence=0.5)
    other_client = facts.prediction(client_id="client-2")
    batch = [plain, other_model, other_version, negative, other_client]
    await log.recorder().record(facts.events(*batch))
    await log.recorder(decode_feedback).record(facts.events(facts.feedback(negative, score=0.5)))

    async def found(**filters: Any) -> set[str]:
        (page,) = await pages(call, 0, **filters)
        return set(page)

    assert await found(model="topic") == {other_model.prediction_id}
    assert await found(model_version="2") == {other_version.prediction_id}
    assert await found(label="negative") == {negative.prediction_id}
    assert await found(client_id="client-2") == {other_client.prediction_id}
    assert await found(has_feedback=True) == {negative.prediction_id}
    assert len(await found(has_feedback=False)) == 4
    assert await found(model="topic", label="negative") == set()
    assert await found(confidence_to=0.5) == {negative.prediction_id}
    assert await found(confidence_from=0.5, confidence_to=0.5) == {negative.prediction_id}
    assert len(await found(confidence_from=0.75)) == 4


async def test_shadows_and_inputs_are_found_again(log: Any, facts: Any, call: Call) -> None:
    digest = bytes(range(32))
    seen = facts.prediction(input=events_pb2.InputFacts(sha256=digest))
    shadow = facts.prediction(shadow=True, model_version="2")
    await log.recorder().record(facts.events(seen, shadow))
    assert await pages(call, 0, shadow=True) == [[shadow.prediction_id]]
    assert await pages(call, 0, shadow=False) == [[seen.prediction_id]]
    for text in (digest.hex(), digest.hex().upper()):
        assert await pages(call, 0, input_sha256=text) == [[seen.prediction_id]]
    assert await pages(call, 0, input_sha256="ab" * 32) == [[]]


async def test_rare_matches_are_found_over_many_stretches(
    log: Any, facts: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_queries, "_FIRST_STRETCH", 2)
    batch = [facts.prediction(label="negative" if n % 17 == 0 else "positive") for n in range(60)]
    await log.recorder().record(facts.events(*batch))
    rare = [fact.prediction_id for fact in reversed(batch) if fact.label == "negative"]
    assert await pages(call, 3, label="negative") == [rare[:3], rare[3:]]
    assert await pages(call, 4, label="negative") == [rare]


async def test_search_that_takes_long_answers_with_what_it_found(
    log: Any, facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_queries, "_FIRST_STRETCH", 2)
    monkeypatch.setattr(prediction_queries, "_LONGEST_STRETCH", 2)
    batch = [facts.prediction(label="negative" if n == 0 else "positive") for n in range(9)]
    await log.recorder().record(facts.events(*batch))
    # A second passes between any two looks at the clock.
    queries = PredictionQueries(log.database, clock=count().__next__)
    matching, after, lengths = PredictionFilter(label="negative"), None, []
    while True:
        page = await queries.page("tenant-1", matching, after=after, limit=5)
        lengths.append(len(page.predictions))
        after = page.after
        if after is None:
            break
    assert lengths == [0, 0, 0, 0, 1]
    assert [str(each.record.id) for each in page.predictions] == [batch[0].prediction_id]


async def test_time_filter_includes_its_start_and_excludes_its_end(
    log: Any, facts: Any, call: Call
) -> None:
    start = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)

    def made_at(moment: datetime) -> Any:
        milliseconds = int(moment.timestamp() * 1000)
        tail = new_id().int & (1 << 80) - 1
        return facts.prediction(id=UUID(int=(milliseconds << 80) | tail))

    batch = [made_at(start + timedelta(milliseconds=ms)) for ms in (-1, 0, 1999, 2000)]
    await log.recorder().record(facts.events(*batch))
    low, high = Timestamp(), Timestamp()
    low.FromDatetime(start)
    high.FromDatetime(start + timedelta(seconds=2))
    (page,) = await pages(call, 0, predicted_from=low, predicted_before=high)
    assert page == [batch[2].prediction_id, batch[1].prediction_id]


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"model": "x" * 129}, "filter.model"),
        ({"model_version": "a\0"}, "filter.model_version"),
        ({"label": "x" * 257}, "filter.label"),
        ({"client_id": "\0"}, "filter.client_id"),
        ({"predicted_from": Timestamp(seconds=2**62)}, "filter.predicted_from"),
        ({"predicted_before": Timestamp(seconds=-5)}, "filter.predicted_before"),
        ({"predicted_before": Timestamp(seconds=253402300799)}, "filter.predicted_before"),
        ({"predicted_from": Timestamp(nanos=-1)}, "filter.predicted_from"),
        ({"confidence_from": -0.1}, "filter.confidence_from"),
        ({"confidence_to": 1.1}, "filter.confidence_to"),
        ({"confidence_to": float("nan")}, "filter.confidence_to"),
        ({"confidence_from": 0.6, "confidence_to": 0.5}, "filter.confidence_to"),
        ({"input_sha256": "ab" * 31}, "filter.input_sha256"),
        ({"input_sha256": "xy" * 32}, "filter.input_sha256"),
    ],
)
async def test_filter_that_cannot_be_is_an_invalid_field(
    call: Call, filters: dict[str, Any], field: str
) -> None:
    matching = pb.PredictionFilter(**filters)
    for request in (
        pb.ListPredictionsRequest(filter=matching),
        pb.GetStatsRequest(filter=matching),
        pb.ExportPredictionsRequest(filter=matching, format=pb.EXPORT_FORMAT_CSV),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call(request)
        assert [violation.field for violation in caught.value.violations] == [field]


async def test_earliest_moment_is_a_valid_filter(call: Call) -> None:
    request = pb.ListPredictionsRequest(
        filter=pb.PredictionFilter(predicted_from=Timestamp(), predicted_before=Timestamp())
    )
    assert not (await call(request)).predictions


async def test_limit_above_the_largest_is_refused(call: Call) -> None:
    await call(pb.ListPredictionsRequest(limit=500))
    with pytest.raises(InvalidInput, match="limit"):
        await call(pb.ListPredictionsRequest(limit=501))


async def test_cursor_of_another_list_or_a_changed_one_is_refused(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer
) -> None:
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(3))))
    cursor = (await call(pb.ListPredictionsRequest(limit=1))).next_cursor
    changed = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    foreign = issuer.token("predictions:read", tenant="tenant-2")
    attempts = [
        (pb.ListPredictionsRequest(cursor=changed), ""),
        (pb.ListPredictionsRequest(cursor=cursor[:-2]), ""),
        (pb.ListPredictionsRequest(cursor="x"), ""),
        (pb.ListPredictionsRequest(cursor="ü" * 40), ""),
        (pb.ListPredictionsRequest(cursor=cursor * 1000), ""),
        (pb.ListPredictionsRequest(cursor=cursor, filter=pb.PredictionFilter(model="m")), ""),
        (pb.ListPredictionsRequest(cursor=cursor, filter=pb.PredictionFilter(shadow=False)), ""),
        (pb.ListPredictionsRequest(cursor=cursor), foreign),
    ]
    for request, token in attempts:
        with pytest.raises(InvalidInput) as caught:
            await call(request, token=token)
        assert caught.value.code == "CURSOR_INVALID"
    assert len((await call(pb.ListPredictionsRequest(cursor=cursor))).predictions) == 2

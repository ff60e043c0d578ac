"""Repeated, late and listed feedback."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from prediction_log.event_decoding import decode_feedback
from prediction_log.feedback import keyed_id
from prediction_log.partitions import make_partitions
from prediction_log.retention import Retention
from prediction_log.retention_classes import RetentionClasses
from prediction_log.retention_store import RetentionStore
from servicekit.errors import Conflict, InvalidInput, NotFound
from servicekit.identifiers import new_id, new_id_at
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]


@pytest.fixture
def predicted(log: Any, facts: Any) -> Any:
    """Records a prediction, positive by default; returns its id."""

    async def record(**changes: Any) -> str:
        fact = facts.prediction(**changes)
        await log.recorder().record(facts.events(fact))
        return str(fact.prediction_id)

    return record


def opinion(prediction_id: str, label: str = "negative", **more: Any) -> pb.RecordFeedbackRequest:
    return pb.RecordFeedbackRequest(prediction_id=prediction_id, correct_label=label, **more)


async def listed(call: Call, prediction_id: str, **more: Any) -> list[pb.Feedback]:
    return list((await call(pb.ListFeedbackRequest(prediction_id=prediction_id, **more))).feedback)


async def test_same_key_is_the_same_feedback(
    log: Any, call: Call, predicted: Any, written: Call
) -> None:
    prediction_id = await predicted()
    request = opinion(prediction_id, comment="Wrong.", idempotency_key="key 1")
    first = await call(request)
    again = await call(request)
    await written()
    after = await call(request)
    assert first == again == after
    assert await written() == []
    assert await log.count("feedback") == 1
    assert await log.count("dead_letters") == 0


async def test_calls_at_the_same_time_with_one_key_are_one_row(
    log: Any, call: Call, predicted: Any, written: Call
) -> None:
    request = opinion(await predicted(), idempotency_key="k")
    answers = await asyncio.gather(*(call(request) for _ in range(8)))
    await written()
    assert len({answer.feedback_id for answer in answers}) == 1
    assert await log.count("feedback") == 1


async def test_without_a_key_each_call_is_a_feedback_of_its_own(
    log: Any, call: Call, predicted: Any, written: Call
) -> None:
    request = opinion(await predicted())
    assert await call(request) != await call(request)
    await written()
    assert await log.count("feedback") == 2


async def test_key_means_something_to_one_client_and_one_prediction_alone(
    log: Any, call: Call, predicted: Any, written: Call, issuer: FakeIssuer
) -> None:
    one, other = await predicted(), await predicted()
    colleague = issuer.token("feedback:write", client_id="client-2")
    await call(opinion(one, idempotency_key="k"))
    await call(opinion(one, "positive", idempotency_key="k"), token=colleague)
    await call(opinion(other, "positive", idempotency_key="k"))
    await written()
    assert await log.count("feedback") == 3


def test_keyed_ids_differ_wherever_one_part_does() -> None:
    prediction = UUID("019a0000-0000-7000-8000-000000000001")
    keyed = keyed_id("tenant", "client", prediction, "key")
    assert keyed == keyed_id("tenant", "client", prediction, "key")
    assert (keyed.version, keyed.variant) == (8, "specified in RFC 4122")
    others = {
        keyed_id("tenantc", "lient", prediction, "key"),
        keyed_id("tenant', '", "client", prediction, "key"),
        keyed_id("tenant", "client", UUID(int=prediction.int + 1), "key"),
        keyed_id("tenant", "client", prediction, "Key"),
        keyed,
    }
    assert len(others) == 5


@pytest.mark.parametrize(
    "changes", [{"label": "positive"}, {"score": 0.5}, {"comment": "x"}, {"label": "", "score": 0}]
)
async def test_another_opinion_under_a_recorded_key_is_refused(
    log: Any, call: Call, predicted: Any, written: Call, changes: dict[str, Any]
) -> None:
    prediction_id = await predicted()
    await call(opinion(prediction_id, idempotency_key="k"))
    await written()
    with pytest.raises(Conflict) as caught:
        await call(opinion(prediction_id, idempotency_key="k", **changes))
    assert caught.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert await written() == []
    assert [each.correct_label for each in await listed(call, prediction_id)] == ["negative"]


async def test_of_two_opinions_under_a_key_that_is_not_recorded_yet_the_first_stays(
    call: Call, predicted: Any, written: Call
) -> None:
    prediction_id = await predicted()
    first = await call(opinion(prediction_id, idempotency_key="k"))
    second = await call(opinion(prediction_id, "positive", idempotency_key="k"))
    assert first == second
    await written()
    assert [each.correct_label for each in await listed(call, prediction_id)] == ["negative"]


async def test_repeat_after_an_erasure_is_the_same_feedback_without_its_comment(
    log: Any, call: Call, predicted: Any, written: Call
) -> None:
    prediction_id = await predicted()
    request = opinion(prediction_id, comment="Of Ada.", idempotency_key="k")
    first = await call(request)
    await written()
    await log.execute("UPDATE prediction_logs SET erased_at = now()")
    await log.execute("UPDATE feedback SET comment = NULL")
    assert await call(request) == first
    with pytest.raises(Conflict):
        await call(opinion(prediction_id, "positive", idempotency_key="k"))
    assert [each.comment for each in await listed(call, prediction_id)] == [""]


@pytest.mark.parametrize("key", ["k" * 129, "a\nb", "a\0b", "\u200e", "\x7f"])
async def test_key_that_cannot_be_is_an_invalid_field(
    call: Call, predicted: Any, written: Call, key: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(opinion(await predicted(), idempotency_key=key))
    assert [violation.field for violation in caught.value.violations] == ["idempotency_key"]
    assert await written() == []


async def test_longest_key_is_taken(call: Call, predicted: Any) -> None:
    await call(opinion(await predicted(), idempotency_key="ü" * 128))


async def test_history_is_listed_newest_first_in_pages(
    log: Any, call: Call, predicted: Any, written: Call
) -> None:
    prediction_id = await predicted()
    given = []
    for number in range(5):
        keyed = {"idempotency_key": f"k{number}"} if number % 2 else {}
        request = opinion(prediction_id, comment=f"no. {number}", **keyed)
        given.append((await call(request)).feedback_id)
    await call(opinion(await predicted()))
    await written()
    rows = await log.rows(
        "SELECT id FROM feedback WHERE prediction_id = :about ORDER BY given_at DESC, id DESC",
        about=UUID(prediction_id),
    )
    newest_first = [str(row["id"]) for row in rows]
    assert set(newest_first) == set(given)
    found = await listed(call, prediction_id)
    assert [each.feedback_id for each in found] == newest_first
    assert {each.comment for each in found} == {f"no. {number}" for number in range(5)}
    assert (found[0].client_id, found[0].correct_label) == ("client-1", "negative")
    pages, cursor = [], ""
    while True:
        answer = await call(
            pb.ListFeedbackRequest(prediction_id=prediction_id, limit=2, cursor=cursor)
        )
        pages.append([each.feedback_id for each in answer.feedback])
        cursor = answer.next_cursor
        if not cursor:
            break
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


async def test_prediction_without_feedback_has_an_empty_history(call: Call, predicted: Any) -> None:
    assert await listed(call, await predicted()) == []


async def test_history_of_what_is_not_the_tenants_is_not_found(call: Call, predicted: Any) -> None:
    for prediction_id in (await predicted(tenant="tenant-2"), str(new_id())):
        with pytest.raises(NotFound):
            await listed(call, prediction_id)


async def test_cursor_of_another_history_is_refused(
    call: Call, predicted: Any, written: Call
) -> None:
    one, other = await predicted(), await predicted()
    for _ in range(3):
        await call(opinion(one))
    await written()
    answer = await call(pb.ListFeedbackRequest(prediction_id=one, limit=1))
    for prediction_id, cursor in ((other, answer.next_cursor), (one, answer.next_cursor[:-1])):
        with pytest.raises(InvalidInput) as caught:
            await listed(call, prediction_id, cursor=cursor)
        assert caught.value.code == "CURSOR_INVALID"
    with pytest.raises(InvalidInput, match="limit"):
        await listed(call, one, limit=201)


async def test_longest_page_of_longest_comments_fits_into_a_message(
    log: Any, facts: Any, call: Call
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    opinions = [facts.feedback(fact, comment="𝄞" * 2000) for _ in range(201)]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    assert len(await listed(call, fact.prediction_id, limit=200)) == 200


async def test_feedback_years_later_counts_until_retention_drops_the_prediction(
    migrated_copy: str, open_log: Any, facts: Any, serve: Any, redis: Redis
) -> None:
    log = open_log(migrated_copy)
    call = await serve(log.database)
    month = datetime(2012, 1, 15, 12, tzinfo=UTC)
    classes = RetentionClasses({"standard": 400}, "standard")
    await make_partitions(log.database, month, 1, classes)
    fact = facts.prediction(id=new_id_at(int(month.timestamp() * 1000)))
    await log.recorder().record(facts.events(fact))
    await call(opinion(fact.prediction_id))
    await log.recorder(decode_feedback).record(
        facts.events(facts.feedback(fact, correct_label="positive"))
    )
    assert len(await listed(call, fact.prediction_id)) == 1
    assert (await call(pb.GetStatsRequest())).accuracy == 1

    store = RetentionStore(log.database, batch=100)
    assert (
        await Retention(store, classes, 90, lambda: datetime(2014, 1, 1, tzinfo=UTC)).apply() == 0
    )
    await redis.delete("weir:feedback")
    for request in (
        opinion(fact.prediction_id),
        pb.ListFeedbackRequest(prediction_id=fact.prediction_id),
        pb.GetPredictionRequest(prediction_id=fact.prediction_id),
    ):
        with pytest.raises(NotFound) as caught:
            await call(request)
        assert caught.value.code == "PREDICTION_NOT_FOUND"
    assert not await redis.exists("weir:feedback")
    assert await log.count("feedback") == 0


async def test_accuracy_of_each_version_follows_the_latest_opinions(
    call: Call, predicted: Any, written: Call
) -> None:
    old = [await predicted(model_version="1") for _ in range(2)]
    new = [await predicted(model_version="2") for _ in range(2)]
    for prediction_id in (*old, *new):
        await call(opinion(prediction_id, "positive"))
    await written()

    async def accuracy(version: str) -> float:
        matching = pb.PredictionFilter(model_version=version)
        return float((await call(pb.GetStatsRequest(filter=matching))).accuracy)

    assert (await accuracy("1"), await accuracy("2")) == (1, 1)
    await call(opinion(old[0], "negative", idempotency_key="second thoughts"))
    await call(opinion(old[0], "negative", idempotency_key="second thoughts"))
    await written()
    assert (await accuracy("1"), await accuracy("2")) == (0.5, 1)
    await call(opinion(old[0], "positive"))
    await call(opinion(new[1], "", score=0.1))
    await written()
    assert (await accuracy("1"), await accuracy("2")) == (1, 1)
    assert len(await listed(call, old[0])) == 3


async def test_latest_of_very_many_is_found_by_the_index_alone(
    log: Any, facts: Any, call: Call
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    opinions = [facts.feedback(fact, score=0.5) for _ in range(3000)]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    await log.execute("ANALYZE feedback")
    plan = await log.rows(
        "EXPLAIN (ANALYZE, COSTS OFF) SELECT id FROM feedback WHERE tenant = :tenant "
        "AND prediction_id = :about ORDER BY given_at DESC, id DESC LIMIT 1",
        tenant="tenant-1",
        about=UUID(fact.prediction_id),
    )
    text = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "ix_feedback_tenant_prediction_id_given_at_id" in text
    assert "Sort" not in text

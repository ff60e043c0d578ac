"""Append, from the call over the stream to the row."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from prediction_log import appending
from prediction_log.event_decoding import decode_prediction
from servicekit.errors import DeadlineExceeded, Exhausted, InvalidInput, ServiceError, Unavailable
from servicekit.identifiers import new_id, new_id_at, time_of
from servicekit.redis_client import open_redis
from testkit.issuer import FakeIssuer
from testkit.stores import running_redis
from weir.events.v1.events_pb2 import PredictionRecorded
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1.keeping_pb2 import (
    INPUT_KEEPING_ENCRYPTED,
    INPUT_KEEPING_NOTHING,
    INPUT_KEEPING_PLAIN,
    Keeping,
)

Call = Callable[..., Any]
STREAM = "weir:predictions:0"
MOMENT = 1_790_000_000_123
"""Milliseconds since the epoch."""


def made(**changes: Any) -> pb.AppendRecord:
    """A valid record; keyword arguments replace fields."""
    identifier = changes.pop("id", None) or new_id()
    values: dict[str, Any] = {
        "prediction_id": str(identifier),
        "model": "topic",
        "model_version": "7",
        "request_id": "job-1",
        "input_sha256": bytes(range(32)),
        "input_characters": 40,
        "input_tokens": 12,
        "input_unknown_tokens": 1,
        "input_special_tokens": 2,
        "label": "sport",
        "probabilities": {"sport": 0.75, "politics": 0.25},
        "inference_ms": 3.5,
    }
    record = pb.AppendRecord(**values | changes)
    if "predicted_at" not in changes:
        record.predicted_at.FromDatetime(time_of(identifier))
    return record


def messages(*groups: Sequence[pb.AppendRecord]) -> Any:
    return iter([pb.AppendRequest(records=group) for group in groups])


@pytest.fixture
def predictions_written(written: Call) -> Callable[[], Any]:
    """Writes what is on the stream of predictions."""
    return lambda: written(STREAM, decode_prediction)


async def test_appended_record_is_found_as_it_was_sent(
    call: Call, predictions_written: Any, issuer: FakeIssuer
) -> None:
    record = made()
    token = issuer.token(
        "predictions:write", "predictions:read", client_id="batch-job", tenant="tenant-9"
    )
    assert await call(messages([record]), token=token) == pb.AppendResponse(accepted=1)
    await predictions_written()
    answer = await call(pb.GetPredictionRequest(prediction_id=record.prediction_id), token=token)
    found = answer.prediction
    assert found.client_id == "batch-job"
    assert (found.model, found.model_version, found.request_id) == ("topic", "7", "job-1")
    assert found.predicted_at == record.predicted_at
    assert found.input_sha256 == record.input_sha256.hex()
    assert (found.input_characters, found.input_tokens) == (40, 12)
    assert (found.label, found.confidence) == ("sport", 0.75)
    assert found.probabilities == record.probabilities
    assert found.inference_ms == 3.5
    assert found.delegate_id == ""
    other = issuer.token("predictions:read")
    with pytest.raises(ServiceError, match="no such prediction"):
        await call(pb.GetPredictionRequest(prediction_id=record.prediction_id), token=other)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (None, Keeping()),
        ("all", Keeping()),
        ({"input": "plain"}, Keeping(input=INPUT_KEEPING_PLAIN)),
        (
            {"input": "encrypted", "retention_class": "long"},
            Keeping(input=INPUT_KEEPING_ENCRYPTED, retention_class="long"),
        ),
        ({"input": ["?"], "retention_class": 3}, Keeping(input=INPUT_KEEPING_NOTHING)),
    ],
)
async def test_records_are_kept_as_the_callers_token_says(
    call: Call, predictions_written: Any, issuer: FakeIssuer, claim: Any, expected: Keeping
) -> None:
    token = issuer.token("predictions:write", keeping=claim)
    assert (await call(messages([made()]), token=token)).accepted == 1
    (event,) = await predictions_written()
    assert PredictionRecorded.FromString(event.data).keeping == expected


async def test_records_of_many_messages_all_become_rows(
    log: Any, call: Call, predictions_written: Any
) -> None:
    groups = [[made() for _ in range(size)] for size in (1000, 1, 0, 700)]
    assert (await call(messages(*groups))).accepted == 1701
    await predictions_written()
    rows = {str(row["id"]) for row in await log.rows("SELECT id FROM prediction_logs")}
    assert rows == {record.prediction_id for group in groups for record in group}


async def test_call_without_records_accepts_none(call: Call) -> None:
    assert await call(messages()) == pb.AppendResponse()


async def test_same_ids_again_are_the_same_rows(
    log: Any, call: Call, predictions_written: Any
) -> None:
    records = [made() for _ in range(3)]
    for _ in range(2):
        assert (await call(messages(records, records[:1]))).accepted == 4
        await predictions_written()
    assert await log.count("prediction_logs") == 3


async def test_id_in_another_spelling_is_the_same_id(
    log: Any, call: Call, predictions_written: Any
) -> None:
    record = made()
    shouted = made(id=UUID(record.prediction_id))
    shouted.prediction_id = record.prediction_id.upper()
    assert (await call(messages([record, shouted]))).accepted == 2
    (first, second) = await predictions_written()
    assert first.data == second.data
    assert await log.count("prediction_logs") == 1


async def test_record_without_an_id_gets_one_of_its_moment(
    log: Any, call: Call, predictions_written: Any
) -> None:
    stamp = Timestamp()
    stamp.FromMilliseconds(MOMENT)
    records = [made(prediction_id="", predicted_at=stamp) for _ in range(2)]
    assert (await call(messages(records))).accepted == 2
    await predictions_written()
    rows = await log.rows("SELECT id, predicted_at FROM prediction_logs")
    assert len({row["id"] for row in rows}) == 2
    assert {time_of(row["id"]) for row in rows} == {row["predicted_at"] for row in rows}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prediction_id": "none"}, "prediction_id is no UUIDv7"),
        ({"predicted_at": Timestamp()}, "predicted_at is missing"),
        ({"prediction_id": "", "predicted_at": Timestamp()}, "predicted_at is missing"),
        ({"predicted_at": Timestamp(seconds=9)}, "predicted_at is not the time in prediction_id"),
        ({"prediction_id": "", "predicted_at": Timestamp(seconds=-1)}, "predicted_at is out of"),
        ({"prediction_id": "", "predicted_at": Timestamp(seconds=2**62)}, "predicted_at is out of"),
        ({"prediction_id": "", "predicted_at": Timestamp(nanos=-1)}, "predicted_at is out of"),
        ({"prediction_id": "", "predicted_at": Timestamp(seconds=9, nanos=-1)}, "predicted_at is"),
        ({"model": ""}, "model is empty"),
        ({"model_version": "1\0"}, "model_version holds a NUL character"),
        ({"request_id": "r" * 129}, "request_id is longer than 128 characters"),
        ({"input_sha256": b"short"}, "input.sha256 is not 32 bytes long"),
        ({"input_tokens": 2**31}, "input.tokens is out of range"),
        ({"label": "weather"}, "label has no probability"),
        ({"probabilities": {"sport": float("nan")}}, "probabilities is not between 0 and 1"),
        ({"probabilities": {"sport": float("inf")}}, "probabilities is not between 0 and 1"),
        ({"probabilities": {str(n): 0.0 for n in range(1001)}}, "there are more than 1000"),
        ({"inference_ms": -1.0}, "inference_ms is no duration"),
        ({"inference_ms": float("nan")}, "inference_ms is no duration"),
    ],
)
async def test_record_that_breaks_a_rule_is_rejected_and_the_others_are_taken(
    log: Any, call: Call, predictions_written: Any, changes: dict[str, Any], reason: str
) -> None:
    answer = await call(messages([made()], [made(**changes), made()]))
    assert (answer.accepted, answer.rejected) == (2, 1)
    (rejection,) = answer.rejections
    assert rejection.index == 1
    assert rejection.reason.startswith(reason)
    await predictions_written()
    assert await log.count("prediction_logs") == 2
    assert await log.count("dead_letters") == 0


async def test_reasons_are_given_for_the_first_hundred(call: Call) -> None:
    answer = await call(messages([made(model="") for _ in range(150)], [made()]))
    assert (answer.accepted, answer.rejected) == (1, 150)
    assert [each.index for each in answer.rejections] == list(range(100))


async def test_more_than_a_thousand_in_a_message_are_refused(call: Call, redis: Redis) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(messages([made(model="")] * 1001))
    assert [violation.field for violation in caught.value.violations] == ["records"]
    assert not await redis.exists(STREAM)


async def test_message_over_the_size_limit_is_refused(
    log: Any, call: Call, predictions_written: Any
) -> None:
    huge = made(request_id="r" * 5_000_000)
    for stream in (messages([huge]), messages([made()], [huge])):
        with pytest.raises(Exhausted):
            await call(stream)
    await predictions_written()
    assert await log.count("prediction_logs") <= 1


async def test_slices_are_bounded_by_count_and_by_bytes(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[tuple[int, int]] = []
    original = appending.EventPublisher.publish

    async def publish(self: Any, stream: str, facts: Any) -> None:
        published.append((len(facts), sum(fact.ByteSize() for fact in facts)))
        await original(self, stream, facts)

    monkeypatch.setattr(appending.EventPublisher, "publish", publish)
    wide = {f"label {number:03} {'x' * 240}": 0.001 for number in range(999)} | {"sport": 0.9}
    small = [made() for _ in range(1100)]
    large = [made(probabilities=wide) for _ in range(12)]
    assert (await call(messages(small[:1000], small[1000:], large))).accepted == 1112
    assert sum(count for count, _ in published) == 1112
    assert max(count for count, _ in published) == 500
    assert max(size for _, size in published) <= 1024 * 1024


async def test_stream_that_is_away_is_told_and_a_repeat_makes_no_second_row(
    log: Any, serve: Any, tmp_path: Path
) -> None:
    records = [made() for _ in range(1600)]
    with running_redis(tmp_path / "redis") as server:
        events = open_redis(server.url, timeout=1.0)
        call = await serve(log.database, events=events)

        async def breaking() -> AsyncIterator[pb.AppendRequest]:
            yield pb.AppendRequest(records=records[:800])
            await events.xread({STREAM: "0"}, count=1, block=900)
            await asyncio.to_thread(server.kill)
            yield pb.AppendRequest(records=records[800:])

        with pytest.raises(Unavailable) as caught:
            await call(breaking())
        assert caught.value.code == "EVENT_STREAM_UNAVAILABLE"
        await asyncio.to_thread(server.start_ready)
        assert (await call(messages(records[:800], records[800:]))).accepted == 1600
        entries = await events.xrange(STREAM)
        await events.aclose()
    seen = {PredictionRecorded.FromString(fields[b"data"]).prediction_id for _, fields in entries}
    assert seen == {record.prediction_id for record in records}


async def test_callers_beyond_the_limit_are_refused_until_another_has_ended(
    log: Any, serve: Any, redis: Redis
) -> None:
    call = await serve(log.database, append_calls=1)
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[pb.AppendRequest]:
        yield pb.AppendRequest(records=[made() for _ in range(1000)])
        await go_on.wait()

    first = asyncio.create_task(call(slow()))
    await redis.xread({STREAM: "0"}, count=1, block=900)
    with pytest.raises(Exhausted) as caught:
        await call(messages([made()]))
    assert (caught.value.code, caught.value.retry_after) == ("APPENDS_FULL", 1.0)
    go_on.set()
    assert (await first).accepted == 1000
    assert (await call(messages([made()]))).accepted == 1


async def test_caller_that_falls_silent_gives_its_place_up(log: Any, serve: Any) -> None:
    call = await serve(log.database, append_calls=1, append_idle=0.3)

    async def silent() -> AsyncIterator[pb.AppendRequest]:
        yield pb.AppendRequest(records=[made()])
        await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded) as caught:
        await call(silent())
    assert caught.value.code == "APPEND_IDLE"
    assert (await call(messages([made()]))).accepted == 1


async def test_appended_and_rejected_records_are_counted(call: Call) -> None:
    def counted(outcome: str) -> float:
        name = "weir_prediction_log_appended_total"
        return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0

    before = {outcome: counted(outcome) for outcome in ("accepted", "rejected")}
    await call(messages([made(), made(), made(model="")]))
    assert counted("accepted") - before["accepted"] == 2
    assert counted("rejected") - before["rejected"] == 1


def test_ids_of_a_moment_carry_it() -> None:
    assert time_of(new_id_at(MOMENT)).timestamp() == MOMENT / 1000
    assert new_id_at(MOMENT) != new_id_at(MOMENT)
    for impossible in (-1, 2**48):
        with pytest.raises(ValueError, match="no moment of a UUIDv7"):
            new_id_at(impossible)

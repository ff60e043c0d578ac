"""The contract, over a real channel, on what a real PostgreSQL holds."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from prediction_log.event_decoding import decode_feedback
from prediction_log.feedback import FeedbackDesk
from prediction_log.grpc_api import SCOPES, PredictionLogServicer
from prediction_log.prediction_queries import PredictionQueries
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import (
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)
from servicekit.event_stream import Event, EventConsumer, EventPublisher
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

FEEDBACK_STREAM = "weir:feedback"
Call = Callable[..., Any]


@pytest_asyncio.fixture
async def serve(
    tmp_path: Path, issuer: FakeIssuer, redis: Redis
) -> AsyncIterator[Callable[[Any], Any]]:
    """Serves a database; returns a function that calls it."""
    servers: list[GrpcServer] = []
    channels: list[grpc.aio.Channel] = []

    async def start(database: Any) -> Call:
        address = f"unix:{tmp_path}/grpc{len(servers)}.sock"
        server = GrpcServer(
            GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
            verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
            scopes=SCOPES,
            tracer_provider=TracerProvider(shutdown_on_exit=False),
        )
        queries = PredictionQueries(database)
        desk = FeedbackDesk(queries, EventPublisher(redis), FEEDBACK_STREAM, new_id)
        predictions_pb2_grpc.add_PredictionLogServiceServicer_to_server(
            PredictionLogServicer(queries, desk), server.grpc
        )
        await server.start()
        servers.append(server)
        channel = grpc.aio.insecure_channel(address)
        channels.append(channel)
        stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)

        async def call(request: Any, *, token: str = "", seconds: float = 10.0) -> Any:
            token = token or issuer.token("predictions:read", "feedback:write")
            method = getattr(stub, type(request).__name__.removesuffix("Request"))
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                return await method(request, metadata=metadata, timeout=seconds)
            except AioRpcError as error:
                raise from_rpc_error(error, "prediction_log") from error

        return call

    yield start
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture
async def call(serve: Callable[[Any], Any], log: Any) -> Call:
    answer: Call = await serve(log.database)
    return answer


async def consume_feedback(log: Any, redis: Redis) -> list[Event]:
    """Writes what is on the feedback stream; returns it."""
    seen: list[Event] = []
    recorder = log.recorder(decode_feedback, FEEDBACK_STREAM)

    async def handle(events: Any) -> None:
        seen.extend(events)
        await recorder.record(events)

    consumer = EventConsumer(
        redis, stream=FEEDBACK_STREAM, group="prediction_log", consumer="test", block=0.01
    )
    while await consumer.consume_once(handle):
        pass
    return seen


def every_method(prediction_id: str, **fields: str) -> list[Any]:
    return [
        pb.GetPredictionRequest(prediction_id=prediction_id, **fields),
        pb.ListPredictionsRequest(**fields),
        pb.GetStatsRequest(**fields),
        pb.RecordFeedbackRequest(prediction_id=prediction_id, score=1.0, **fields),
    ]


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


async def test_another_tenants_prediction_does_not_exist(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer
) -> None:
    fact = facts.prediction(tenant="tenant-2")
    await log.recorder().record(facts.events(fact))
    get, listing, stats, feedback = every_method(fact.prediction_id)
    for request in (get, feedback):
        with pytest.raises(NotFound):
            await call(request)
    assert not (await call(listing)).predictions
    assert (await call(stats)).predictions == 0
    owner = issuer.token("predictions:read", tenant="tenant-2")
    assert (await call(get, token=owner)).prediction.prediction_id == fact.prediction_id


async def test_only_a_delegate_may_state_a_tenant(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer
) -> None:
    fact = facts.prediction(tenant="tenant-2")
    await log.recorder().record(facts.events(fact))
    gateway = issuer.token(
        "predictions:read", "feedback:write", "delegate", client_id="gateway", tenant="weir"
    )
    for request in every_method(fact.prediction_id, tenant="tenant-2"):
        with pytest.raises(PermissionDenied) as caught:
            await call(request)
        assert caught.value.code == "DELEGATION_DENIED"
        await call(request, token=gateway)
    for request in every_method(fact.prediction_id, tenant="tenant-1"):
        if hasattr(request, "prediction_id"):
            with pytest.raises(NotFound):
                await call(request, token=gateway)


async def test_own_tenant_may_be_stated(log: Any, facts: Any, call: Call) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    for request in every_method(fact.prediction_id, tenant="tenant-1"):
        await call(request)


@pytest.mark.parametrize("tenant", ["a\0b", "t" * 129])
async def test_tenant_that_cannot_be_is_an_invalid_field(
    call: Call, issuer: FakeIssuer, tenant: str
) -> None:
    token = issuer.token("predictions:read", "feedback:write", "delegate")
    for request in every_method(str(new_id()), tenant=tenant):
        with pytest.raises(InvalidInput) as caught:
            await call(request, token=token)
        assert [violation.field for violation in caught.value.violations] == ["tenant"]


async def test_each_method_needs_its_scope(call: Call, issuer: FakeIssuer) -> None:
    *reads, feedback = every_method(str(new_id()))
    for request in reads:
        with pytest.raises(PermissionDenied, match="predictions:read"):
            await call(request, token=issuer.token("feedback:write"))
    with pytest.raises(PermissionDenied, match="feedback:write"):
        await call(feedback, token=issuer.token("predictions:read"))


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
    ],
)
async def test_filter_that_cannot_be_is_an_invalid_field(
    call: Call, filters: dict[str, Any], field: str
) -> None:
    matching = pb.PredictionFilter(**filters)
    for request in (
        pb.ListPredictionsRequest(filter=matching),
        pb.GetStatsRequest(filter=matching),
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
        (pb.ListPredictionsRequest(cursor=cursor), foreign),
    ]
    for request, token in attempts:
        with pytest.raises(InvalidInput) as caught:
            await call(request, token=token)
        assert caught.value.code == "CURSOR_INVALID"
    assert len((await call(pb.ListPredictionsRequest(cursor=cursor))).predictions) == 2


async def test_feedback_is_published_and_the_latest_is_shown(
    log: Any, facts: Any, call: Call, redis: Redis
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    first = await call(
        pb.RecordFeedbackRequest(
            prediction_id=fact.prediction_id, correct_label="negative", comment="Wrong."
        )
    )
    second = await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, score=0.25))
    published = await consume_feedback(log, redis)
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
    log: Any, facts: Any, call: Call, redis: Redis
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, correct_label="negative"))
    (event,) = await consume_feedback(log, redis)
    told = type(facts.feedback(fact)).FromString(event.data)
    assert (told.model, told.model_version) == ("sentiment", "1")
    assert (told.predicted_label, told.confidence) == ("positive", 0.75)
    assert (told.tenant, told.client_id) == ("tenant-1", "client-1")
    assert not told.HasField("score")


async def test_only_a_delegate_may_give_feedback_for_another_client(
    log: Any, facts: Any, call: Call, redis: Redis, issuer: FakeIssuer
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    request = pb.RecordFeedbackRequest(
        prediction_id=fact.prediction_id, tenant="tenant-1", client_id="client-9", score=1
    )
    with pytest.raises(PermissionDenied):
        await call(request)
    gateway = issuer.token("feedback:write", "delegate", client_id="gateway", tenant="weir")
    await call(request, token=gateway)
    await consume_feedback(log, redis)
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
    log: Any, facts: Any, call: Call, redis: Redis, said: dict[str, Any], fields: list[str]
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    with pytest.raises(InvalidInput) as caught:
        await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, **said))
    assert [violation.field for violation in caught.value.violations] == fields
    assert not await redis.exists(FEEDBACK_STREAM)


@pytest.mark.parametrize("said", [{"score": 0.0}, {"score": 1.0}, {"comment": "x" * 2000}])
async def test_feedback_at_the_edges_is_taken(
    log: Any, facts: Any, call: Call, redis: Redis, said: dict[str, Any]
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    await call(pb.RecordFeedbackRequest(prediction_id=fact.prediction_id, **said))
    await consume_feedback(log, redis)
    assert await log.count("feedback") == 1


async def test_stats_are_those_of_what_was_recorded(log: Any, facts: Any, call: Call) -> None:
    confidences = [0.5 + number / 100 for number in range(40)]
    batch = [
        facts.prediction(
            confidence=confidence,
            label="positive" if number % 4 else "negative",
            inference_ms=float((number * 7) % 40),
        )
        for number, confidence in enumerate(confidences)
    ]
    await log.recorder().record(facts.events(*batch, facts.prediction(tenant="tenant-2")))
    opinions = [
        facts.feedback(batch[1], correct_label="negative"),
        facts.feedback(batch[1], correct_label="positive"),  # the later one counts
        facts.feedback(batch[2], correct_label="negative"),
        facts.feedback(batch[4], correct_label="negative"),
        facts.feedback(batch[4], score=0.1),  # says nothing about the label
        facts.feedback(batch[5], comment="Hm."),
    ]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    stats = await call(pb.GetStatsRequest())
    milliseconds = statistics.quantiles(range(40), n=100, method="inclusive")
    assert stats.predictions == 40
    assert dict(stats.labels) == {"positive": 30, "negative": 10}
    assert stats.mean_confidence == pytest.approx(statistics.fmean(confidences))
    assert stats.inference_ms_p50 == pytest.approx(milliseconds[49])
    assert stats.inference_ms_p95 == pytest.approx(milliseconds[94])
    assert stats.inference_ms_p99 == pytest.approx(milliseconds[98])
    assert stats.labelled == 3
    assert stats.accuracy == pytest.approx(2 / 3)
    negative = await call(pb.GetStatsRequest(filter=pb.PredictionFilter(label="negative")))
    assert (negative.predictions, negative.labelled, negative.accuracy) == (10, 1, 1.0)


async def test_stats_of_nothing_leave_out_what_cannot_be_told(call: Call) -> None:
    assert await call(pb.GetStatsRequest()) == pb.GetStatsResponse()


async def test_query_that_takes_too_long_is_ended(
    log: Any, facts: Any, serve: Any, open_log: Any
) -> None:
    await log.recorder().record(facts.events(facts.prediction()))
    impatient = await serve(open_log(log.url, statement_timeout=0.3).database)
    async with log.database.transaction() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.execute("LOCK TABLE prediction_logs IN ACCESS EXCLUSIVE MODE")
        for request in every_method(str(new_id())):
            with pytest.raises(DeadlineExceeded) as caught:
                await impatient(request)
            assert caught.value.code == "QUERY_TOO_SLOW"
    await impatient(pb.ListPredictionsRequest())


async def test_waiting_for_a_connection_is_bounded(log: Any, serve: Any, open_log: Any) -> None:
    narrow = open_log(log.url, pool_size=1, pool_timeout=0.2)
    crowded = await serve(narrow.database)
    async with narrow.database.transaction():
        with pytest.raises(Unavailable) as caught:
            await crowded(pb.ListPredictionsRequest())
    assert caught.value.code == "LOG_STORE_UNAVAILABLE"
    await crowded(pb.ListPredictionsRequest())


async def test_without_a_database_every_method_says_so(
    tmp_path: Path, serve: Any, open_log: Any
) -> None:
    call = await serve(open_log(f"postgresql://nobody@/weir?host={tmp_path}").database)
    for request in every_method(str(new_id())):
        with pytest.raises(ServiceError) as caught:
            await call(request)
        assert isinstance(caught.value, Unavailable)
        assert caught.value.code == "LOG_STORE_UNAVAILABLE"
        assert caught.value.retry_after == 1.0
        assert str(tmp_path) not in caught.value.message


async def test_abandoned_calls_give_their_connection_back(
    log: Any, serve: Any, open_log: Any
) -> None:
    narrow = open_log(log.url, pool_size=1, pool_timeout=5.0)
    call = await serve(narrow.database)
    async with log.database.transaction() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.execute("LOCK TABLE prediction_logs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DeadlineExceeded):
            await call(pb.ListPredictionsRequest(), seconds=0.2)
    async with asyncio.timeout(5):
        await call(pb.ListPredictionsRequest())

"""Whatever bytes a call carries: a typed answer, and nothing half-done."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from grpc.aio import AioRpcError
from grpc_status import rpc_status

from prediction_log import grpc_api, privacy_grpc_api
from prediction_log.event_decoding import decode_audit, decode_prediction
from servicekit import request_context
from servicekit.errors import InvalidInput, ServiceError
from servicekit.grpc_errors import code_of, from_rpc_error
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb

from .mutations import UNKNOWN_FIELDS, Mutations

SCOPES = grpc_api.SCOPES | privacy_grpc_api.SCOPES
SEED = 20_261_121
WORKERS = 8
TABLES = ("prediction_logs", "feedback", "prediction_rollups", "prediction_rollup_labels")
TYPED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
METHODS: dict[str, MethodDescriptor] = {
    path: descriptor_pool.Default().FindMethodByName(path.strip("/").replace("/", "."))
    for path in SCOPES
}
Raw = Callable[..., Any]


@pytest_asyncio.fixture
async def raw(
    tmp_path: Path, log: Any, serve: Any, open_log: Any, issuer: FakeIssuer
) -> AsyncIterator[Raw]:
    """Sends bytes to a method; returns the code and, where it failed, the error."""
    patient = open_log(log.url, pool_size=WORKERS, pool_timeout=60.0)
    await serve(patient.database, append_calls=WORKERS)
    own = issuer.token(*set(SCOPES.values()))
    delegate = issuer.token(*set(SCOPES.values()), "delegate")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/grpc0.sock") as channel:

        async def send(path: str, data: bytes, *, as_delegate: bool = False) -> Any:
            metadata = (("authorization", f"Bearer {delegate if as_delegate else own}"),)
            method = METHODS[path]
            try:
                if method.client_streaming:
                    await channel.stream_unary(path)(iter([data]), metadata=metadata, timeout=60)
                elif method.server_streaming:
                    async for _ in channel.unary_stream(path)(data, metadata=metadata, timeout=60):
                        pass
                else:
                    await channel.unary_unary(path)(data, metadata=metadata, timeout=60)
            except AioRpcError as error:
                return error.code(), error
            return grpc.StatusCode.OK, None

        yield send


def valid_requests(prediction_id: str) -> list[Message]:
    return [
        pb.GetPredictionRequest(prediction_id=prediction_id),
        pb.ListPredictionsRequest(limit=2, filter=pb.PredictionFilter(model="sentiment")),
        pb.GetStatsRequest(filter=pb.PredictionFilter(label="positive")),
        pb.GetStatsSeriesRequest(model="sentiment", bucket=pb.STATS_BUCKET_HOUR),
        pb.ExportPredictionsRequest(format=pb.EXPORT_FORMAT_CSV),
        pb.ListFeedbackRequest(prediction_id=prediction_id, limit=1),
        pb.RecordFeedbackRequest(
            prediction_id=prediction_id, correct_label="negative", idempotency_key="k"
        ),
        pb.AppendRequest(records=[pb.AppendRecord(prediction_id=prediction_id, model="m")]),
    ]


class Requests:
    """Bad requests for each method in turn."""

    def __init__(self, prediction_id: str, cursor: str) -> None:
        known = [prediction_id, "tenant-1", "tenant-2", "sentiment", "positive", "2", cursor]
        self._mutations = Mutations(SEED, known)
        valid = valid_requests(prediction_id)
        self._valid = {request.DESCRIPTOR.full_name: request for request in valid}

    def make(self, path: str, number: int) -> bytes:
        kind = METHODS[path].input_type
        data = self._mutations.filled(kind).SerializeToString()
        if number % 3 == 0 and kind.full_name in self._valid:
            data = self._valid[kind.full_name].SerializeToString()
        return data if number % 3 == 1 else self._mutations.broken(data)

    async def send(
        self, number: int, paths: list[str], one: Callable[[str, bytes, bool], Any]
    ) -> None:
        """Hands `number` requests to `one`, some at a time."""
        waiting = iter(range(number))

        async def work() -> None:
            for index in waiting:
                path = paths[index % len(paths)]
                data = self.make(path, index // len(paths))
                await one(path, data, index % 2 == 0)

        await asyncio.gather(*(work() for _ in range(WORKERS)))


@pytest_asyncio.fixture
async def requests(log: Any, facts: Any, call: Any) -> Requests:
    # The rollups have nothing to catch up with.
    await log.execute("INSERT INTO prediction_rollup_backfill VALUES (now())")
    batch = [facts.prediction() for _ in range(3)]
    await log.recorder().record(facts.events(*batch))
    cursor = (await call(pb.ListPredictionsRequest(limit=1))).next_cursor
    return Requests(batch[0].prediction_id, cursor)


@pytest_asyncio.fixture
async def unharmed(log: Any, requests: Requests, written: Any) -> AsyncIterator[None]:
    """Nothing half-written: the tables stay, and every event that was published can be a row."""
    before = [await log.count(table) for table in TABLES]
    yield
    assert [await log.count(table) for table in TABLES] == before
    await written()
    await written("weir:predictions:0", decode_prediction)
    await written("weir:audit", decode_audit)
    assert await log.rows("SELECT reason FROM dead_letters") == []


@pytest.mark.usefixtures("unharmed")
async def test_two_thousand_bad_calls_get_typed_answers(raw: Raw, requests: Requests) -> None:
    answers: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []

    async def one(path: str, data: bytes, as_delegate: bool) -> None:
        code, error = await raw(path, data, as_delegate=as_delegate)
        answers[path, code.name] += 1
        if error is not None and (code not in TYPED or rpc_status.from_call(error) is None):
            faults.append(f"{path} {code.name} {error.details()!r} {data[:200].hex()}")

    await requests.send(2000, list(METHODS), one)
    assert faults == []
    # They get past the parser, and past the checks.
    for path in METHODS:
        assert answers[path, "OK"] + answers[path, "NOT_FOUND"] > 0, (path, answers)
        assert answers[path, "INVALID_ARGUMENT"] > 0, (path, answers)


@pytest.mark.usefixtures("unharmed")
async def test_eight_thousand_more_raise_nothing_but_service_errors(
    log: Any, open_log: Any, servicer: Any, requests: Requests
) -> None:
    """The same without a channel between, which is what costs most of a call's time."""
    patient = open_log(log.url, pool_size=WORKERS, pool_timeout=60.0)
    service = servicer(patient.database, append_calls=WORKERS)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []

    async def one(path: str, data: bytes, as_delegate: bool) -> None:
        scopes = {*SCOPES.values(), *(["delegate"] if as_delegate else [])}
        request_context.principal.set(
            request_context.Principal("client-1", "tenant-1", frozenset(scopes), "token", 2e9)
        )
        method = METHODS[path]
        kind = message_factory.GetMessageClass(method.input_type)
        try:
            await _answer(getattr(service, method.name), method, kind.FromString(data))
        except DecodeError:
            outcomes["malformed"] += 1
        except ServiceError as error:
            outcomes[error.code] += 1
            if code_of(error) not in TYPED:
                faults.append(f"{path} {error!r} {data.hex()}")
        except Exception as error:
            raise AssertionError(f"{path} {data.hex()}") from error
        else:
            outcomes["answered"] += 1

    await requests.send(8000, list(grpc_api.SCOPES), one)
    reached = {"malformed", "answered", "INVALID_REQUEST", "PREDICTION_NOT_FOUND"}
    assert all(outcomes[outcome] > 20 for outcome in reached), outcomes
    assert faults == []


async def _answer(behaviour: Any, method: MethodDescriptor, request: Message) -> None:
    async def alone() -> AsyncIterator[Message]:
        yield request

    answer = behaviour(alone() if method.client_streaming else request, None)
    if method.server_streaming:
        async for _ in answer:
            pass
    else:
        await answer


async def test_fields_that_nobody_knows_change_nothing(log: Any, facts: Any, raw: Raw) -> None:
    await log.execute("INSERT INTO prediction_rollup_backfill VALUES (now())")
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    for request in valid_requests(fact.prediction_id):
        name = request.DESCRIPTOR.name.removesuffix("Request")
        path = next(path for path in METHODS if path.endswith(f"/{name}"))
        code, error = await raw(path, request.SerializeToString() + UNKNOWN_FIELDS)
        assert code is grpc.StatusCode.OK, error


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize(
    "data", [b"\x0a\x02\xff\xff", b"\x0a\x03\xed\xa0\x80", b"\x0a\xff", b"\xff" * 40]
)
async def test_bytes_that_are_no_message_are_called_so(raw: Raw, path: str, data: bytes) -> None:
    """Bad UTF-8, half of a surrogate pair, a field that is cut short, and noise."""
    _, error = await raw(path, data)
    told = from_rpc_error(error, "prediction_log")
    assert isinstance(told, InvalidInput)
    assert told.code == "REQUEST_MALFORMED"


@pytest.mark.parametrize("path", METHODS)
async def test_message_of_five_megabytes_is_refused(raw: Raw, path: str) -> None:
    code, error = await raw(path, b"\x0a" + b"\xff\xff\xff\x02" + b"x" * 6_291_455)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED, error


async def test_forged_cursors_are_refused(log: Any, facts: Any, call: Any) -> None:
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(3))))
    cursor = (await call(pb.ListPredictionsRequest(limit=1))).next_cursor
    mutations = Mutations(SEED)
    forged = {mutations.broken(cursor.encode()).decode("latin-1") for _ in range(300)} - {cursor}
    forged |= {cursor[:length] for length in range(1, len(cursor))} | {cursor + "A", str(new_id())}
    for each in sorted(forged - {""}):
        with pytest.raises(InvalidInput) as caught:
            await call(pb.ListPredictionsRequest(cursor=each))
        assert caught.value.code == "CURSOR_INVALID"

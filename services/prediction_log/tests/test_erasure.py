"""Erasing a person: nothing of them can be read at once, and nothing is left in the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from prediction_log.erased_letters import ErasedLetters
from prediction_log.erasure_work import ErasureWork, StreamTails
from prediction_log.event_decoding import decode_feedback
from prediction_log.key_making import create_keys
from weir.events.v1 import events_pb2
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1.privacy_pb2 import (
    ERASURE_STATE_COMPLETE,
    ERASURE_STATE_RUNNING,
)

from .conftest import STREAM, keys_in
from .erasing import SUBJECT, TEXT, KilledAfter, erase, state
from .sealing import ENCRYPTED, NOTHING, PLAIN, seal
from .test_private_parts import everything

Call = Callable[..., Any]
Look = Callable[[], Any]


@pytest.fixture
def look(log: Any, redis: Redis, keys: Any) -> Look:
    """One round of the chore."""
    letters = ErasedLetters(log.database, keys.opener)
    tails = StreamTails(redis, [STREAM, "weir:feedback"])
    return ErasureWork(log.database, tails, letters, batch=3, grace=0).look


async def test_erased_person_is_gone_from_every_row_and_others_stay(
    log: Any, facts: Any, keys: Any, key_directory: Path, call: Call, eraser: str, look: Look
) -> None:
    def about(subject: str, keeping: Any = ENCRYPTED, **changes: Any) -> Any:
        fact = facts.prediction(request_id="request-7", **changes)
        fact.input.sha256 = b"\xab" * 32
        return seal(key_directory, fact, keeping, subject=subject, text=TEXT)

    hers = [about(SUBJECT), about(SUBJECT, PLAIN), *(about(SUBJECT, NOTHING) for _ in range(5))]
    others = [about("bob"), about(SUBJECT, tenant="tenant-2")]
    await log.recorder(keys=keys).record(facts.events(*hers, *others))
    opinions = [facts.feedback(fact, score=0.5, comment=TEXT) for fact in (hers[0], others[0])]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    request = pb.GetPredictionRequest(prediction_id=hers[0].prediction_id, include_input=True)
    assert (await call(request, token=eraser)).prediction.input_text == TEXT

    erasure = await erase(call, eraser)
    assert (erasure.state, erasure.redacted) == (ERASURE_STATE_RUNNING, 0)
    # At once, before any row was touched.
    assert not (await call(request, token=eraser)).prediction.HasField("input_text")
    assert await log.count("subject_keys") == 2

    await look()
    done = await state(call, eraser, erasure)
    assert (done.state, done.redacted) == (ERASURE_STATE_COMPLETE, 7)
    assert done.completed_at.seconds >= done.requested_at.seconds
    erased = await log.rows("SELECT * FROM prediction_logs WHERE erased_at IS NOT NULL ORDER BY id")
    assert [str(row["id"]) for row in erased] == [fact.prediction_id for fact in hers]
    for row in erased:
        assert (row["input_sha256"], row["request_id"]) == (b"", "")
        assert row["subject_digest"] is row["input_text"] is row["input_ciphertext"] is None
        assert row["input_key_id"] is None
        assert row["label"] == "positive"
    comments = await log.rows("SELECT comment, score FROM feedback ORDER BY id")
    assert comments == [{"comment": None, "score": 0.5}, {"comment": TEXT, "score": 0.5}]
    answer = (await call(request, token=eraser)).prediction
    assert (answer.erased, answer.input_sha256, answer.request_id) == (True, "", "")
    for fact in others:
        (row,) = await log.rows(
            "SELECT erased_at, input_ciphertext FROM prediction_logs WHERE id = :id",
            id=UUID(fact.prediction_id),
        )
        assert row["erased_at"] is None
        assert row["input_ciphertext"] is not None
    listed = await call(pb.ListPredictionsRequest(filter=pb.PredictionFilter(subject=SUBJECT)))
    assert list(listed.predictions) == []
    assert SUBJECT.encode() not in await everything(log)


async def test_late_and_replayed_records_bring_nothing_back(
    log: Any, facts: Any, keys: Any, key_directory: Path, call: Call, eraser: str, look: Look
) -> None:
    def about_her(keeping: Any) -> Any:
        return seal(key_directory, facts.prediction(), keeping, subject=SUBJECT, text=TEXT)

    replayed, late, late_too = about_her(PLAIN), about_her(PLAIN), about_her(ENCRYPTED)
    await log.recorder(keys=keys).record(facts.events(replayed))
    first_opinion = facts.feedback(late, comment=TEXT)
    await log.recorder(decode_feedback).record(facts.events(first_opinion))
    erasure = await erase(call, eraser)
    await look()
    await log.recorder(keys=keys).record(facts.events(replayed, late, late_too))
    opinions = [facts.feedback(fact, comment=TEXT) for fact in (replayed, late_too)]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    assert await log.count("prediction_logs") == await log.count("feedback") == 3
    assert TEXT.encode() not in await everything(log)
    assert await log.count("subject_keys") == 0
    assert (await state(call, eraser, erasure)).redacted == 1
    (missing,) = await log.rows(
        "SELECT count(*) FROM prediction_logs WHERE erased_at IS NULL OR subject_digest IS NOT NULL"
    )
    assert missing["count"] == 0
    # What is predicted afterwards is hers again, until she is erased again.
    new = about_her(ENCRYPTED)
    await log.recorder(keys=keys).record(facts.events(new))
    request = pb.GetPredictionRequest(prediction_id=new.prediction_id, include_input=True)
    assert (await call(request, token=eraser)).prediction.input_text == TEXT
    again = await erase(call, eraser)
    await look()
    assert not (await call(request, token=eraser)).prediction.HasField("input_text")
    assert (await state(call, eraser, again)).redacted == 1


async def test_erasure_is_complete_when_no_stream_holds_anything_of_its_time(
    call: Call, eraser: str, look: Look, redis: Redis
) -> None:
    erasure = await erase(call, eraser)
    requested_ms = erasure.requested_at.ToMilliseconds()
    for stream in (STREAM, "weir:feedback"):
        await redis.xadd(stream, {"a": "b"}, id=f"{requested_ms}-5")
        await look()
        assert (await state(call, eraser, erasure)).state == ERASURE_STATE_RUNNING
        await redis.xtrim(stream, minid=f"{requested_ms + 1}-0", approximate=False)
        await redis.xadd(stream, {"a": "b"}, id=f"{requested_ms + 1}-0")
    await look()
    assert (await state(call, eraser, erasure)).state == ERASURE_STATE_COMPLETE


async def test_sealed_dead_letters_about_the_person_are_emptied_with_their_rows(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    call: Call,
    eraser: str,
    look: Look,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def about(subject: str, **changes: Any) -> Any:
        fact = facts.prediction(request_id="request-7", **changes)
        fact.input.sha256 = b"\xcd" * 32
        return seal(key_directory, fact, PLAIN, subject=subject, text=TEXT)

    create_keys(tmp_path)
    # The log had another key for a while; one record is no row at all; others are about others.
    unopened, poison, of_bob = about(SUBJECT), about(SUBJECT, label="?"), about("bob")
    poison.predicted_at.FromMilliseconds(0)
    poison.predicted_at.seconds = 2**62
    elsewhere = about(SUBJECT, tenant="tenant-2")
    shut = [unopened, poison, of_bob, elsewhere]
    await log.recorder(keys=keys_in(tmp_path)).record(facts.events(*shut))
    assert await log.count("dead_letters") == 4
    monkeypatch.setattr("prediction_log.erased_letters._PAGE", 2)
    erasure = await erase(call, eraser)
    await look()
    done = await state(call, eraser, erasure)
    assert (done.state, done.redacted) == (ERASURE_STATE_COMPLETE, 1)
    letters = await log.rows("SELECT data, reason FROM dead_letters ORDER BY entry_id")
    kept = [events_pb2.PredictionRecorded.FromString(letter["data"]) for letter in letters]
    assert [bool(fact.sealed_input) for fact in kept] == [False, False, True, True]
    assert [fact.input.sha256 for fact in kept[:2]] == [b"", b""]
    assert [fact.request_id for fact in kept[:2]] == ["", ""]
    assert [letter["reason"].endswith("; erased") for letter in letters] == [
        True,
        True,
        False,
        False,
    ]
    rows = await log.rows("SELECT erased_at IS NOT NULL AS gone FROM prediction_logs ORDER BY id")
    assert [row["gone"] for row in rows] == [True, False, False]


async def test_several_replicas_redact_side_by_side_and_count_once(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    call: Call,
    eraser: str,
    redis: Redis,
    open_log: Callable[..., Any],
) -> None:
    batch = [
        seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
        for _ in range(30)
    ]
    await log.recorder(keys=keys).record(facts.events(*batch))
    erasure = await erase(call, eraser)
    works = []
    for _ in range(3):
        database = open_log(log.url).database
        letters = ErasedLetters(database, keys.opener)
        tails = StreamTails(redis, [STREAM])
        works.append(ErasureWork(database, tails, letters, batch=2, grace=0))
    while (await state(call, eraser, erasure)).state == ERASURE_STATE_RUNNING:
        await asyncio.gather(*(work.look() for work in works))
    assert (await state(call, eraser, erasure)).redacted == 30


async def test_work_that_was_broken_off_goes_on_where_it_was(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    call: Call,
    eraser: str,
    look: Look,
    redis: Redis,
) -> None:
    batch = [seal(key_directory, facts.prediction(), NOTHING, subject=SUBJECT) for _ in range(10)]
    await log.recorder(keys=keys).record(facts.events(*batch))
    erasure = await erase(call, eraser)
    broken: Any = KilledAfter(log.database, 3)
    letters = ErasedLetters(broken, keys.opener)
    await ErasureWork(broken, StreamTails(redis, []), letters, batch=3, grace=0).look()
    half = await state(call, eraser, erasure)
    assert (half.state, half.redacted) == (ERASURE_STATE_RUNNING, 6)
    await look()
    done = await state(call, eraser, erasure)
    assert (done.state, done.redacted) == (ERASURE_STATE_COMPLETE, 10)


async def test_records_that_are_written_while_a_person_is_erased_keep_nothing(
    log: Any, facts: Any, keys: Any, key_directory: Path, call: Call, eraser: str, look: Look
) -> None:
    batches = [
        [
            seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
            for _ in range(20)
        ]
        for _ in range(6)
    ]
    answers = await asyncio.gather(
        *(log.recorder(keys=keys).record(facts.events(*batch)) for batch in batches[:3]),
        erase(call, eraser),
        *(log.recorder(keys=keys).record(facts.events(*batch)) for batch in batches[3:]),
    )
    await look()
    assert (await state(call, eraser, answers[3])).state == ERASURE_STATE_COMPLETE
    rows = await log.rows("SELECT erased_at, input_ciphertext FROM prediction_logs")
    assert len(rows) == 120
    assert all(row["erased_at"] and row["input_ciphertext"] is None for row in rows)
    assert await log.count("subject_keys") == 0


async def test_work_waits_for_the_stores_and_says_so_once(
    log: Any,
    keys: Any,
    redis: Redis,
    call: Call,
    eraser: str,
    look: Look,
    open_log: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    erasure = await erase(call, eraser)
    away = open_log(f"postgresql://nobody@/weir?host={tmp_path}").database
    letters = ErasedLetters(away, keys.opener)
    work = ErasureWork(away, StreamTails(redis, [STREAM]), letters, batch=3, grace=0)
    for _ in range(2):
        await work.look()
    work._database = log.database
    await work.look()
    printed = capsys.readouterr().out
    assert printed.count("erasures_wait") == 1
    assert "erasures_wait" in printed
    assert (await state(call, eraser, erasure)).state == ERASURE_STATE_RUNNING
    await look()
    assert (await state(call, eraser, erasure)).state == ERASURE_STATE_COMPLETE

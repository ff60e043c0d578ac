"""Dead letters that are listed, shown and tried again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from prediction_log.database import database_url
from prediction_log.dead_letter_replay import DeadLetterReplay, ReplayResult
from prediction_log.dead_letters import DeadLetters, LetterFilter, ReplayStore
from prediction_log.domain import Record
from prediction_log.errors import PoisonEvent
from prediction_log.event_decoding import Decode, decode_prediction
from prediction_log.insert_spans import InsertSpans
from prediction_log.migrate import downgrade, upgrade
from prediction_log.record_store import record_writers
from prediction_log.recorder import Recorder
from servicekit.event_stream import Event

STREAM = "weir:predictions:0"


def yesterdays(event: Event) -> Sequence[Record]:
    """A decoder that knows less than today's."""
    raise PoisonEvent("label has no probability")


async def replay(
    log: Any, wanted: LetterFilter | None = None, decode: Decode = decode_prediction, limit: int = 9
) -> ReplayResult:
    writers = record_writers()

    def recorder_of(store: ReplayStore, stream: str) -> Recorder | None:
        if stream != STREAM:
            return None
        return Recorder(stream, decode, store, InsertSpans(NoOpTracer(), stream))

    return await DeadLetterReplay(
        DeadLetters(log.database),
        lambda stream, entry: ReplayStore(log.database, writers, stream, entry),
        recorder_of,
    ).run(wanted or LetterFilter(), limit)


async def test_letter_that_today_can_be_read_becomes_a_row_once(log: Any, facts: Any) -> None:
    fact = facts.prediction()
    await log.recorder(yesterdays).record(facts.events(fact))
    assert await replay(log) == ReplayResult(replayed=1)
    assert await replay(log) == ReplayResult()
    (row,) = await log.rows("SELECT id FROM prediction_logs")
    assert str(row["id"]) == fact.prediction_id
    (letter,) = await log.rows("SELECT data, replayed_at, tried_at FROM dead_letters")
    assert (letter["data"], letter["tried_at"]) == (b"", None)
    assert letter["replayed_at"] is not None


async def test_letter_whose_row_is_there_already_is_marked(log: Any, facts: Any) -> None:
    events = facts.events(facts.prediction())
    await log.recorder(yesterdays).record(events)
    await log.recorder().record(events)
    assert await replay(log) == ReplayResult(replayed=1)
    assert await log.count("prediction_logs") == 1


async def test_poison_stays_with_a_fresh_reason(log: Any, facts: Any) -> None:
    await log.recorder(yesterdays).record(facts.events(facts.prediction(tenant="")))
    assert await replay(log) == ReplayResult(still_dead=1)
    (letter,) = await log.rows("SELECT reason, data, replayed_at, tried_at FROM dead_letters")
    assert letter["reason"] == "tenant is empty"
    assert letter["tried_at"] is not None
    assert letter["replayed_at"] is None
    assert letter["data"]


async def test_what_the_database_refuses_stays_and_leaves_nothing(log: Any, facts: Any) -> None:
    await log.recorder(yesterdays).record(facts.events(facts.prediction(model="cursed")))
    await log.execute(
        "ALTER TABLE prediction_logs ADD CONSTRAINT test_only CHECK (model <> 'cursed')"
    )
    try:
        assert await replay(log) == ReplayResult(still_dead=1)
    finally:
        await log.execute("ALTER TABLE prediction_logs DROP CONSTRAINT test_only")
    (letter,) = await log.rows("SELECT reason FROM dead_letters")
    assert letter == {"reason": "PostgreSQL refuses the values (23514)"}
    assert await log.count("prediction_logs") == 0


async def test_event_that_was_kept_in_part_is_not_guessed_at(log: Any, facts: Any) -> None:
    (event,) = facts.events(facts.prediction())
    await log.recorder(yesterdays).record([replace(event, data=event.data + bytes(2_000_000))])
    assert await replay(log, decode=lambda _: []) == ReplayResult(still_dead=1)
    (letter,) = await log.rows("SELECT reason FROM dead_letters")
    assert letter == {"reason": "only a part of the event was kept"}


async def test_letter_of_a_stream_that_nobody_consumes_stays(log: Any, facts: Any) -> None:
    await log.recorder(yesterdays, stream="weir:gone").record(facts.events(facts.prediction()))
    assert await replay(log) == ReplayResult(still_dead=1)
    (letter,) = await log.rows("SELECT reason FROM dead_letters")
    assert letter == {"reason": "no such stream is consumed"}


async def test_prediction_whose_private_part_stays_shut_keeps_its_letter(
    log: Any, facts: Any
) -> None:
    fact = facts.prediction(sealed_input=b"sealed for a key that is not here")
    await log.recorder().record(facts.events(fact))
    assert await log.count("prediction_logs") == 1
    assert await replay(log) == ReplayResult(still_dead=1)
    (letter,) = await log.rows("SELECT data, replayed_at FROM dead_letters")
    assert letter == {"data": fact.SerializeToString(), "replayed_at": None}


async def test_replays_at_the_same_time_write_each_row_once(log: Any, facts: Any) -> None:
    await log.recorder(yesterdays).record(facts.events(*(facts.prediction() for _ in range(20))))
    results = await asyncio.gather(*(replay(log, limit=100) for _ in range(3)))
    assert sum(result.replayed for result in results) >= 20
    assert await log.count("prediction_logs") == 20
    assert await replay(log) == ReplayResult()


async def test_replay_that_is_cut_off_leaves_each_letter_whole(
    log: Any, facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.recorder(yesterdays).record(facts.events(facts.prediction(), facts.prediction()))
    insert = ReplayStore.insert
    seen = 0

    async def ends_during_the_second(store: ReplayStore, records: Sequence[Record]) -> int:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise asyncio.CancelledError
        return await insert(store, records)

    with monkeypatch.context() as patch:
        patch.setattr(ReplayStore, "insert", ends_during_the_second)
        with pytest.raises(asyncio.CancelledError):
            await replay(log)
    assert await log.count("prediction_logs") == 1
    assert await replay(log) == ReplayResult(replayed=1)
    assert await log.count("prediction_logs") == 2


async def test_filters_and_limit_choose_the_letters(log: Any, facts: Any) -> None:
    events = facts.events(*(facts.prediction() for _ in range(5)))
    await log.recorder(yesterdays).record(events[:3])
    await log.recorder(yesterdays, stream="weir:other").record(events[3:])
    assert await replay(log, LetterFilter(reason="50%_"), limit=9) == ReplayResult()
    assert await replay(log, LetterFilter(reason="no prob"), limit=2) == ReplayResult(replayed=2)
    assert await replay(log, LetterFilter(stream=STREAM)) == ReplayResult(replayed=1)
    letters = DeadLetters(log.database)
    waiting = [letter async for letter in letters.find(LetterFilter(), 9)]
    everything = [letter async for letter in letters.find(LetterFilter(replayed=True), 9)]
    assert (len(waiting), len(everything)) == (2, 5)


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prediction_log", "dead-letters", *arguments],
        env=os.environ | {"WEIR_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_commands_show_sizes_and_reasons_and_no_payload(
    log: Any, facts: Any, tmp_path: Path
) -> None:
    good, bad = facts.events(facts.prediction(), facts.prediction(client_id="\0secret"))
    await log.recorder(yesterdays).record([good, bad])

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(command, log.url, *arguments)

    listed = await run("list")
    assert f"{STREAM}  {bad.entry_id}  {bad.type_name}  {len(bad.data)} bytes  label" in (
        listed.stdout
    )
    shown = await run("show", STREAM, bad.entry_id)
    assert "tried_at     -" in shown.stdout
    assert "secret" not in listed.stdout + shown.stdout
    assert "payload" in (await run("show", STREAM, bad.entry_id, "--payload")).stdout
    assert (await run("show", STREAM, "1-1")).returncode == 1
    replayed = await run("replay", "--stream", STREAM)
    assert replayed.returncode == 1
    assert replayed.stdout.endswith("1 replayed, 1 still dead\n")
    assert "client_id holds a NUL character" in (await run("list")).stdout
    assert "replayed" in (await run("list", "--all")).stdout
    nowhere = await asyncio.to_thread(command, f"postgresql://x@/y?host={tmp_path}", "list")
    assert nowhere.returncode == 2


async def test_downgrade_drops_what_was_replayed_and_keeps_the_rest(
    postgres_server: Any, open_log: Callable[..., Any], facts: Any
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    await upgrade(database_url(url), wait=10)
    log = open_log(url)
    await log.recorder(yesterdays).record(
        facts.events(facts.prediction(), facts.prediction(tenant=""))
    )
    await replay(log)
    await downgrade(database_url(url), wait=1, revision="0006")
    (letter,) = await log.rows("SELECT reason FROM dead_letters")
    assert letter == {"reason": "tenant is empty"}
    await upgrade(database_url(url), wait=1)
    assert await replay(log) == ReplayResult(still_dead=1)

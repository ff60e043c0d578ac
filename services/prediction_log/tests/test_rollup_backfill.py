"""What was in the tables before the rollups' triggers is counted once, while others write."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from structlog.testing import capture_logs

from prediction_log import rollup_backfill
from prediction_log.database import database_url
from prediction_log.event_decoding import decode_feedback
from prediction_log.migrate import downgrade, upgrade
from prediction_log.rollup_backfill import backfill_rollups
from testkit.stores import PostgresStore, as_role
from testkit.waiting import until

from .rollup_counts import Story, assert_exact, connect, insert

BEFORE = "0004"
TRIGGERS = {
    "prediction_logs": "rollup_inserted_predictions",
    "feedback": "rollup_inserted_feedback",
}


@pytest_asyncio.fixture
async def engine(log: Any) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database_url(as_role(log.url, "weir_owner")))
    yield engine
    await engine.dispose()


async def write(log: Any, facts: Any, story: Story) -> None:
    await log.recorder().record(facts.events(*story.predictions))
    await log.recorder(decode_feedback).record(facts.events(*story.feedback))


async def write_uncounted(log: Any, facts: Any, story: Story) -> None:
    """As if there had been no triggers yet."""
    for table, trigger in TRIGGERS.items():
        await log.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    try:
        await write(log, facts, story)
    finally:
        for table, trigger in TRIGGERS.items():
            await log.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")


async def test_past_is_counted_and_only_once(log: Any, facts: Any, engine: AsyncEngine) -> None:
    await write_uncounted(log, facts, Story(facts, random.Random(1), predictions=200))
    # Feedback that the triggers count, on predictions that they have not.
    await write(log, facts, Story(facts, random.Random(2)))
    assert await backfill_rollups(engine)
    await assert_exact(log)
    assert not await backfill_rollups(engine)
    await write(log, facts, Story(facts, random.Random(3)))
    await assert_exact(log)


async def test_writers_go_on_and_are_counted_once(
    log: Any, facts: Any, engine: AsyncEngine
) -> None:
    past = Story(facts, random.Random(4), predictions=300)
    later, past.feedback = past.feedback[::2], past.feedback[1::2]
    await write_uncounted(log, facts, past)
    stories = [Story(facts, random.Random(seed)) for seed in range(8)]
    done = asyncio.Event()

    async def write_on() -> None:
        while not done.is_set() or stories or later:
            if stories:
                await write(log, facts, stories.pop())
            if later:
                await log.recorder(decode_feedback).record(facts.events(later.pop()))
            await asyncio.sleep(0)

    writing = asyncio.create_task(write_on())
    # Two replicas that migrate at the same time: one counts, the other waits for it.
    results = await asyncio.gather(backfill_rollups(engine), backfill_rollups(engine))
    done.set()
    await writing
    assert sorted(results) == [False, True]
    await assert_exact(log)


async def test_backfill_that_broke_off_begins_anew(
    log: Any, facts: Any, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_uncounted(log, facts, Story(facts, random.Random(5), predictions=200))
    hours = 0
    add = rollup_backfill._add

    async def add_one_hour(*arguments: Any) -> None:
        nonlocal hours
        hours += 1
        if hours == 2:
            raise ConnectionResetError
        await add(*arguments)

    monkeypatch.setattr(rollup_backfill, "_add", add_one_hour)
    with pytest.raises(ConnectionResetError):
        await backfill_rollups(engine)
    assert await log.count("prediction_rollups") > 0
    await write(log, facts, Story(facts, random.Random(6)))
    assert await backfill_rollups(engine)
    await assert_exact(log)


async def test_open_transaction_of_a_writer_delays_the_backfill_but_no_other_writer(
    log: Any, facts: Any, engine: AsyncEngine
) -> None:
    await write_uncounted(log, facts, Story(facts, random.Random(7)))
    slow = await connect(log)
    try:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("LOCK TABLE prediction_logs IN ROW EXCLUSIVE MODE")
        with capture_logs() as logs:
            running = asyncio.create_task(backfill_rollups(engine))
            await until(lambda: any(entry["event"] == "table_is_in_use" for entry in logs))
            await write(log, facts, Story(facts, random.Random(8)))
            assert not running.done()
            await transaction.commit()
            assert await running
    finally:
        await slow.close()
    await assert_exact(log)


async def test_downgrade_takes_the_rollups_away_and_an_upgrade_counts_again(
    postgres_server: PostgresStore, facts: Any, open_log: Any
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    address = database_url(url)
    await upgrade(address, wait=1)
    log = open_log(url)
    await write(log, facts, Story(facts, random.Random(9)))
    await downgrade(address, wait=1, revision=BEFORE)
    left = await log.rows(
        "SELECT proname AS name FROM pg_proc WHERE proname LIKE 'rollup%' "
        "UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'rollup%' "
        "UNION ALL SELECT relname FROM pg_class WHERE relname LIKE '%rollup%'"
    )
    assert left == []
    connection = await connect(log)
    await insert(connection, facts.prediction())
    await connection.close()
    await upgrade(address, wait=1)
    await assert_exact(log)

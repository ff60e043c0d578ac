"""Rollups that the database keeps, against a count from scratch."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prediction_log.event_decoding import decode_feedback
from testkit.waiting import until

from .rollup_counts import Story, assert_exact, connect, insert


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), batches=st.lists(st.integers(1, 9), min_size=1, max_size=12))
async def test_any_order_of_inserts_with_replays_counts_the_same(
    log: Any, facts: Any, seed: int, batches: list[int]
) -> None:
    await log.execute(
        "TRUNCATE prediction_logs, feedback, prediction_rollups, prediction_rollup_labels"
    )
    rng = random.Random(seed)
    story = Story(facts, rng)
    remaining = [*story.predictions, *story.feedback]
    rng.shuffle(remaining)
    seen: list[Any] = []
    for size in [*batches, len(remaining)]:
        batch, remaining = remaining[:size], remaining[size:]
        seen += batch
        batch += rng.sample(seen, rng.randrange(min(len(seen), 5) + 1))
        for kind, decode in ((story.predictions, None), (story.feedback, decode_feedback)):
            chosen = [fact for fact in batch if any(fact is one for one in kind)]
            recorder = log.recorder(decode) if decode else log.recorder()
            if chosen:
                await recorder.record(facts.events(*chosen))
    await assert_exact(log)
    assert await log.count("prediction_logs") == len(story.predictions)


async def test_writers_at_the_same_time_count_everything_once(log: Any, facts: Any) -> None:
    story = Story(facts, random.Random(1), predictions=400)
    predictions, feedback = story.predictions, story.feedback

    async def write(parts: list[Any], decode: Any) -> None:
        recorder = log.recorder(decode) if decode else log.recorder()
        for start in range(0, len(parts), 40):
            await recorder.record(facts.events(*parts[start : start + 40]))

    await asyncio.gather(
        write(predictions, None),
        write(predictions[::-1], None),
        write(feedback, decode_feedback),
        write(feedback[::-1], decode_feedback),
    )
    assert await log.count("prediction_logs") == 400
    assert await log.count("dead_letters") == 0
    await assert_exact(log)


async def test_prediction_and_its_feedback_that_do_not_see_each_other_are_counted(
    log: Any, facts: Any
) -> None:
    fact = facts.prediction()
    opinion = facts.feedback(fact, correct_label="negative")
    first, second = await connect(log), await connect(log)
    try:
        for one, other in ((first, second), (second, first)):
            await log.execute("TRUNCATE prediction_logs, feedback, prediction_rollups")
            transaction = one.transaction()
            await transaction.start()
            await insert(one, fact if one is first else opinion)
            waiting = asyncio.create_task(insert(other, opinion if other is second else fact))
            await blocked(log)
            await transaction.commit()
            await waiting
            rows = await log.rows("SELECT predictions, labelled, correct FROM prediction_rollups")
            assert rows == [{"predictions": 1, "labelled": 1, "correct": 0}] * 2
    finally:
        await first.close()
        await second.close()


async def blocked(log: Any) -> None:
    """Returns once somebody waits for the rollups' lock."""

    async def somebody_waits() -> bool:
        return bool(
            await log.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        )

    await until(somebody_waits)


async def test_repeatable_read_is_refused_rather_than_counted_wrongly(log: Any, facts: Any) -> None:
    connection = await connect(log)
    try:
        with pytest.raises(asyncpg.FeatureNotSupportedError):
            async with connection.transaction(isolation="repeatable_read"):
                await insert(connection, facts.prediction())
    finally:
        await connection.close()

"""What has been kept long enough goes, and nothing else."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from prediction_log.errors import LogStoreUnavailable
from prediction_log.event_decoding import decode_feedback
from prediction_log.partitions import make_partitions
from prediction_log.retention import Retention
from prediction_log.retention_classes import RetentionClasses
from prediction_log.retention_plan import Leaf, classes_in, cutoff, expired
from prediction_log.retention_store import RetentionStore
from servicekit.identifiers import new_id
from weir.predictions.v1 import keeping_pb2

OpenLog = Callable[..., Any]
# So long ago that the months are over on every machine's clock.
JANUARY = datetime(2012, 1, 15, 12, tzinfo=UTC)
MARCH = datetime(2012, 3, 15, 12, tzinfo=UTC)
CLASSES = RetentionClasses({"short": 30, "standard": 400, "long": 2557}, "standard")
MONTH = "prediction_logs_y2012m01"


def id_at(moment: datetime) -> UUID:
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (new_id().int & (1 << 80) - 1))


def retention_of(log: Any, now: datetime, classes: RetentionClasses = CLASSES) -> Retention:
    return Retention(RetentionStore(log.database, batch=2), classes, 90, lambda: now)


async def write(log: Any, facts: Any, moment: datetime, *classes: str) -> None:
    """A prediction of each class, with feedback on it."""
    predictions = [
        facts.prediction(id=id_at(moment), keeping=keeping_pb2.Keeping(retention_class=name))
        for name in classes
    ]
    await log.recorder().record(facts.events(*predictions))
    opinions = [facts.feedback(prediction, score=1.0) for prediction in predictions]
    await log.recorder(decode_feedback).record(facts.events(*opinions))


async def kept(log: Any) -> list[tuple[str, str]]:
    rows = await log.rows(
        "SELECT to_char(predicted_at, 'YYYY-MM') AS month, retention_class AS class "
        "FROM prediction_logs ORDER BY 1, 2"
    )
    assert len(rows) == await log.count("feedback")
    return [(row["month"], row["class"]) for row in rows]


@pytest.fixture
def months(migrated_copy: str, open_log: OpenLog) -> Any:
    return open_log(migrated_copy)


async def test_leaf_goes_when_its_class_has_been_kept_for_its_days(months: Any, facts: Any) -> None:
    await make_partitions(months.database, JANUARY, 2, CLASSES)
    for moment in (JANUARY, MARCH):
        await write(months, facts, moment, "short", "standard", "long", "")
    await retention_of(months, datetime(2012, 3, 1, 12, tzinfo=UTC)).apply()
    assert len(await kept(months)) == 8
    await retention_of(months, datetime(2012, 3, 2, 12, tzinfo=UTC)).apply()
    assert await kept(months) == [
        ("2012-01", ""),
        ("2012-01", "long"),
        ("2012-01", "standard"),
        *[("2012-03", name) for name in ("", "long", "short", "standard")],
    ]
    (gone,) = await months.rows(f"SELECT to_regclass('{MONTH}_short') AS t")
    assert gone["t"] is None


async def test_month_goes_whole_when_every_class_may(months: Any, facts: Any) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    await write(months, facts, JANUARY, "short", "long", "of_nobody")
    assert await retention_of(months, JANUARY + timedelta(days=2600)).apply() == 0
    assert await kept(months) == []
    rows = await months.rows(f"SELECT relname FROM pg_class WHERE relname ~ '{MONTH}'")
    assert rows == []


async def test_what_comes_late_or_lies_in_a_mixed_leaf_goes_row_by_row(
    months: Any, facts: Any
) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    now = datetime(2012, 3, 10, tzinfo=UTC)
    await retention_of(months, now).apply()
    # Their leaf is gone, and the year before never had months.
    for moment in (JANUARY, JANUARY - timedelta(days=300)):
        await write(months, facts, moment, *["short"] * 5, "long", "of_nobody")
    await retention_of(months, now).apply()
    assert await kept(months) == [
        ("2011-03", "long"),
        ("2011-03", "of_nobody"),
        ("2012-01", "long"),
        ("2012-01", "of_nobody"),
    ]
    await retention_of(months, now + timedelta(days=500)).apply()
    assert await kept(months) == [("2011-03", "long"), ("2012-01", "long")]


async def test_plan_shows_and_changes_nothing(months: Any, facts: Any) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    await write(months, facts, JANUARY, "short")
    plan = await retention_of(months, MARCH).plan()
    assert [(table.table, table.classes) for table in plan] == [(f"{MONTH}_short", ("short",))]
    assert len(await kept(months)) == 1


async def test_table_in_use_is_put_off_and_goes_the_next_time(months: Any, facts: Any) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    await write(months, facts, JANUARY, "short")
    retention = retention_of(months, MARCH)
    async with months.database.transaction() as reader:
        await reader.exec_driver_sql("SELECT count(*) FROM prediction_logs")
        with capture_logs() as logs:
            assert await retention.apply() == 1
    assert [(each["event"], each["table"]) for each in logs] == [
        ("retention_put_off", f"{MONTH}_short")
    ]
    assert await retention.apply() == 0
    assert await kept(months) == []


async def test_replica_that_died_between_the_steps_is_followed_by_another(
    months: Any, facts: Any
) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    await write(months, facts, JANUARY, *["short"] * 5)
    store = RetentionStore(months.database, batch=2)
    assert await store.detach(f"{MONTH}_short")
    assert not await store.detach(f"{MONTH}_short")
    await store.forget_feedback(f"gone_{MONTH}_short", UUID(int=0))
    assert await months.count("feedback") == 3
    await retention_of(months, MARCH).apply()
    assert await kept(months) == []
    assert not await store.drop(f"gone_{MONTH}_short")


@pytest.mark.parametrize(
    "call",
    [
        "weir_detach_expired('prediction_logs_y9998m01')",
        "weir_detach_expired('prediction_logs_default')",
        "weir_detach_expired('audit_log')",
        "weir_drop_expired('audit_log')",
        "weir_drop_expired('prediction_logs_y2012m01')",
        "weir_forget_feedback('audit_log', NULL, 1)",
        "weir_delete_expired('audit_log', '{}', '{}', now(), 1)",
        "weir_delete_expired('prediction_logs_default', '{}', '{}', now() + '1 day', 1)",
        "weir_make_leaf('audit_log', 'audit_log', '{}')",
    ],
)
async def test_functions_refuse_what_is_not_an_ended_month(months: Any, call: str) -> None:
    with pytest.raises(Exception, match=r"P0001|RaiseError|not "):
        await months.execute(f"SELECT {call}")


async def test_feedback_and_dead_letters_of_long_ago_go(months: Any, facts: Any) -> None:
    about = facts.prediction(id=id_at(JANUARY))
    await months.recorder(decode_feedback).record(facts.events(facts.feedback(about, score=1)))
    await months.recorder().record(facts.events(facts.prediction(tenant="")))
    classes = RetentionClasses({"standard": 400}, "standard")
    await retention_of(months, JANUARY + timedelta(days=100), classes).apply()
    assert await months.count("dead_letters") == await months.count("feedback") == 1
    await retention_of(months, datetime.now(UTC) + timedelta(days=91), classes).apply()
    assert await months.count("dead_letters") == await months.count("feedback") == 0


async def test_database_that_is_away_puts_it_off(open_log: OpenLog, tmp_path: Any) -> None:
    away = open_log(f"postgresql://nobody@/weir?host={tmp_path}")
    with capture_logs() as logs:
        await retention_of(away, MARCH).look()
    assert [each["event"] for each in logs] == ["retention_put_off"]
    with pytest.raises(LogStoreUnavailable):
        await retention_of(away, MARCH).plan()


def test_month_without_classes_goes_with_the_longest_class() -> None:
    leaf = Leaf(MONTH, MONTH, datetime(2012, 2, 1, tzinfo=UTC), None, 1, 1)
    assert expired([leaf], CLASSES, leaf.month_end + timedelta(days=2556)) == []
    (month,) = expired([leaf], CLASSES, leaf.month_end + timedelta(days=2557))
    assert month.table == MONTH


def test_cutoff_is_the_start_of_the_month_so_many_days_ago() -> None:
    assert cutoff(datetime(2012, 3, 2, 1, tzinfo=UTC), 30) == datetime(2012, 2, 1, tzinfo=UTC)
    assert cutoff(datetime(2012, 3, 1, 1, tzinfo=UTC), 30) == datetime(2012, 1, 1, tzinfo=UTC)


def test_bounds_are_read() -> None:
    assert classes_in("FOR VALUES IN ('standard', '')") == {"standard", ""}
    assert classes_in("DEFAULT") is None


@pytest.mark.parametrize(("argument", "left"), [("--dry-run", 1), ("--apply", 0)])
async def test_command_shows_what_goes_and_lets_it_go(
    months: Any, facts: Any, argument: str, left: int
) -> None:
    await make_partitions(months.database, JANUARY, 1, CLASSES)
    await write(months, facts, JANUARY, "short")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "prediction_log", "retention", argument],
        env=os.environ | {"WEIR_DATABASE_URL": months.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{MONTH}  ended 2012-02-01" in done.stdout
    assert len(await kept(months)) == left

"""Months of the predictions, and the leaves of their retention classes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from prediction_log.event_decoding import decode_prediction
from prediction_log.partitions import first_id_at, keep_partitions, make_partitions, months_from
from prediction_log.retention_classes import RetentionClasses, UnknownClassWatch
from prediction_log.settings import RetentionSettings
from servicekit.identifiers import new_id
from testkit.stores import PostgresStore
from weir.predictions.v1 import keeping_pb2

OpenLog = Callable[..., Any]
NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def url(postgres_server: PostgresStore) -> str:
    """An empty database."""
    return postgres_server.create_database()


@pytest.fixture
def migrated(migrated_copy: str) -> str:
    return migrated_copy


def id_at(moment: datetime) -> UUID:
    """A UUIDv7 made at that moment."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (new_id().int & (1 << 80) - 1))


def of_class(name: str) -> keeping_pb2.Keeping:
    return keeping_pb2.Keeping(retention_class=name)


async def leaves(log: Any) -> list[str]:
    rows = await log.rows("SELECT tableoid::regclass::text AS t FROM prediction_logs ORDER BY id")
    return [row["t"] for row in rows]


def test_months_follow_each_other_over_the_year() -> None:
    assert months_from(datetime(2026, 11, 30, 23, 59, tzinfo=UTC), 3) == [
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    ]


def test_first_id_of_a_moment_divides_the_ids_before_and_after_it() -> None:
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    before = id_at(datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC))
    assert before < first_id_at(moment) <= id_at(moment)


async def test_each_prediction_lies_in_the_partition_of_its_month(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    made = await make_partitions(log.database, NOVEMBER, ahead=2)
    assert made == [
        "prediction_logs_y2026m11",
        "prediction_logs_y2026m12",
        "prediction_logs_y2027m01",
    ]
    assert await make_partitions(log.database, NOVEMBER, ahead=2) == []
    moments = [
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(9998, 1, 1, tzinfo=UTC),
    ]
    batch = [facts.prediction(id=id_at(moment)) for moment in moments]
    for _ in range(2):
        await log.recorder().record(facts.events(*batch))
    places = await log.rows("SELECT tableoid::regclass::text AS t FROM prediction_logs ORDER BY id")
    assert [place["t"] for place in places] == [
        "prediction_logs_default",
        "prediction_logs_y2026m11_standard",
        "prediction_logs_y2026m11_standard",
        "prediction_logs_y2026m12_standard",
        "prediction_logs_default",
    ]


async def test_rows_of_the_default_partition_move_when_their_month_comes(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await log.recorder().record(facts.events(facts.prediction(id=id_at(NOVEMBER))))
    await make_partitions(log.database, NOVEMBER, ahead=1)
    (row,) = await log.rows("SELECT tableoid::regclass::text AS t FROM prediction_logs")
    assert row["t"] == "prediction_logs_y2026m11_standard"


async def test_replicas_may_make_partitions_while_records_come(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    batches = [
        facts.events(*(facts.prediction(id=id_at(NOVEMBER)) for _ in range(20))) for _ in range(20)
    ]
    await asyncio.gather(
        make_partitions(log.database, NOVEMBER, ahead=3),
        make_partitions(open_log(migrated).database, NOVEMBER, ahead=3),
        *(log.recorder().record(batch) for batch in batches[:3]),
    )
    for batch in batches:
        await log.recorder().record(batch)
    assert await log.count("prediction_logs") == 400
    partitions = await log.rows(
        "SELECT 1 FROM pg_inherits WHERE inhparent = 'prediction_logs'::regclass"
    )
    assert len(partitions) == 5


async def test_partitions_that_cannot_be_made_stop_nothing(
    url: str, open_log: OpenLog, capsys: pytest.CaptureFixture[str]
) -> None:
    await keep_partitions(open_log(url).database, NOVEMBER, ahead=1)
    assert "partitions_not_made" in capsys.readouterr().out


async def test_queries_by_time_touch_only_the_partitions_of_that_time(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await make_partitions(log.database, NOVEMBER, ahead=2)
    low, high = (first_id_at(start) for start in months_from(NOVEMBER, 2))
    plan = await log.rows(
        "EXPLAIN SELECT * FROM prediction_logs WHERE tenant = 't' AND id >= :low AND id < :high "
        "ORDER BY id DESC LIMIT 50",
        low=low,
        high=high,
    )
    text = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "prediction_logs_y2026m11" in text
    assert "prediction_logs_y2026m12" not in text


async def test_each_prediction_lies_in_the_leaf_of_its_class(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await make_partitions(log.database, NOVEMBER, ahead=1)
    batch = [
        facts.prediction(id=id_at(NOVEMBER), keeping=of_class(name))
        for name in ("short", "standard", "long", "", "of_nobody", "Ünusual name")
    ]
    await log.recorder().record(facts.events(*batch))
    rows = await log.rows(
        "SELECT retention_class AS class, tableoid::regclass::text AS leaf FROM prediction_logs"
    )
    month = "prediction_logs_y2026m11"
    assert {row["class"]: row["leaf"] for row in rows} == {
        "short": f"{month}_short",
        "standard": f"{month}_standard",
        "long": f"{month}_long",
        "": f"{month}_standard",
        "of_nobody": f"{month}_default",
        "Ünusual name": f"{month}_default",
    }


@pytest.mark.parametrize("name", ["", "short", "added", "of_nobody", "x" * 40, "a\0b"])
async def test_event_that_is_written_again_meets_its_row_whatever_was_configured_between(
    migrated: str, open_log: OpenLog, facts: Any, name: str
) -> None:
    log = open_log(migrated)
    events = facts.events(facts.prediction(id=id_at(NOVEMBER), keeping=of_class(name)))
    await log.recorder().record(events)
    for classes in (
        RetentionClasses({"short": 30, "standard": 400}, "standard"),
        RetentionClasses({"short": 30, "standard": 400, "added": 7}, "added"),
        RetentionClasses({"added": 7}, "added"),
    ):
        await make_partitions(log.database, NOVEMBER, 1, classes)
        await log.recorder(UnknownClassWatch(decode_prediction, classes)).record(events)
        assert await log.count("prediction_logs") == 1
    assert await log.count("dead_letters") == 0


async def test_class_that_is_added_gets_leaves_and_its_rows_move_there(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await make_partitions(log.database, NOVEMBER, ahead=1)
    await log.recorder().record(
        facts.events(facts.prediction(id=id_at(NOVEMBER), keeping=of_class("added")))
    )
    assert await leaves(log) == ["prediction_logs_y2026m11_default"]
    classes = RetentionClasses({"standard": 400, "added": 7}, "standard")
    made = await make_partitions(log.database, NOVEMBER, 1, classes)
    assert made == ["prediction_logs_y2026m11_added", "prediction_logs_y2026m12_added"]
    assert await leaves(log) == ["prediction_logs_y2026m11_added"]


async def test_unknown_classes_are_counted_and_each_is_told_once(facts: Any) -> None:
    classes = RetentionClasses({"standard": 400}, "standard")
    decode = UnknownClassWatch(decode_prediction, classes)
    names = ["standard", "", "gold", "gold", "silver", "gold"]
    with capture_logs() as logs:
        for event in facts.events(*(facts.prediction(keeping=of_class(name)) for name in names)):
            (record,) = decode(event)
    assert record.retention_class == "gold"
    assert [(entry["retention_class"], entry["kept_as"]) for entry in logs] == [
        ("gold", "standard"),
        ("silver", "standard"),
    ]


@pytest.mark.parametrize(
    ("classes", "default", "complaint"),
    [
        ({"Standard": 400}, "Standard", "cannot be the name of a class"),
        ({"x; DROP TABLE audit_log": 1}, "standard", "cannot be the name of a class"),
        ({"default": 400}, "default", "cannot be the name of a class"),
        ({"short": 0}, "short", "for a day at least"),
        ({"short": 30}, "standard", "is not among the classes"),
    ],
)
def test_impossible_classes_are_refused(
    classes: dict[str, int], default: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        RetentionSettings(retention_classes=classes, default_retention_class=default)

"""ExportPredictions, over a real channel, on what a real PostgreSQL holds."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from arro3.io import read_parquet

from prediction_log import prediction_export
from prediction_log.domain import ExportFormat, PredictionFilter
from prediction_log.errors import ExportsBusy
from prediction_log.event_decoding import decode_feedback
from prediction_log.prediction_export import PredictionExport
from servicekit.errors import InvalidInput, PermissionDenied, Unavailable
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from testkit.waiting import until
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]
FORMATS = [pb.EXPORT_FORMAT_CSV, pb.EXPORT_FORMAT_JSON_LINES, pb.EXPORT_FORMAT_PARQUET]
AWKWARD = '=1+1, "quoted" \\ back\\slash\\n\nline\ttab é 😀 $1 %s \x7f'


def now() -> datetime:
    return datetime.now(UTC)


def file_of(answers: list[Any]) -> bytes:
    return b"".join(answer.data for answer in answers)


def rows_of(file_format: Any, data: bytes) -> list[dict[str, Any]]:
    """The rows of a file, each format's own words for the same values made alike."""
    if file_format == pb.EXPORT_FORMAT_CSV:
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        for row in rows:
            for name in ("input_characters", "input_tokens"):
                row[name] = int(row[name])
            for name in ("confidence", "inference_ms", "score"):
                row[name] = float(row[name]) if row[name] else None
            row["shadow"] = {"true": True, "false": False}[row["shadow"]]
            row |= {name: None for name in ("delegate_id", "correct_label") if not row[name]}
    elif file_format == pb.EXPORT_FORMAT_JSON_LINES:
        # Not splitlines: it would split at characters that JSON takes as they are.
        rows = [json.loads(line) for line in data.decode().split("\n") if line]
    else:
        columns = read_parquet(io.BytesIO(data)).read_all().to_struct_array().to_pylist()
        rows = [dict(row) for row in columns]
    for row in rows:
        if isinstance(row["probabilities"], str):
            row["probabilities"] = json.loads(row["probabilities"])
        if isinstance(row["predicted_at"], str):
            row["predicted_at"] = datetime.fromisoformat(row["predicted_at"])
    return rows


async def export(call: Call, file_format: Any = FORMATS[1], **fields: Any) -> list[dict[str, Any]]:
    answers = await call(pb.ExportPredictionsRequest(format=file_format, **fields))
    return rows_of(file_format, file_of(answers))


@pytest.fixture
def in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few rows, so that an export of little has many."""
    monkeypatch.setattr(prediction_export, "_STRETCH", 7)


@pytest.mark.parametrize("file_format", FORMATS)
async def test_file_holds_everything_as_it_was_recorded(
    log: Any, facts: Any, call: Call, file_format: Any
) -> None:
    plain = facts.prediction(delegate_id="gateway")
    awkward = facts.prediction(
        label=AWKWARD, probabilities={AWKWARD: 1.0}, confidence=1.0, shadow=True, model="a'b"
    )
    await log.recorder().record(facts.events(awkward, plain))
    opinions = [
        facts.feedback(plain, correct_label="negative"),
        facts.feedback(plain, score=0.25),
        facts.feedback(awkward, correct_label=AWKWARD),
    ]
    await log.recorder(decode_feedback).record(facts.events(*opinions))
    first, second = await export(call, file_format)
    assert first == {
        "prediction_id": plain.prediction_id,
        "predicted_at": datetime.fromisoformat(plain.predicted_at.ToJsonString()),
        "model": "sentiment",
        "model_version": "1",
        "client_id": "client-1",
        "delegate_id": "gateway",
        "request_id": "request-1",
        "input_sha256": "00" * 32,
        "input_characters": 40,
        "input_tokens": 12,
        "label": "positive",
        "confidence": 0.75,
        "probabilities": {"positive": 0.75, "negative": 0.25},
        "inference_ms": 3.5,
        "shadow": False,
        "correct_label": "negative",
        "score": 0.25,
    }
    assert (second["label"], second["correct_label"]) == (AWKWARD, AWKWARD)
    assert (second["probabilities"], second["model"]) == ({AWKWARD: 1.0}, "a'b")
    assert (second["delegate_id"], second["score"], second["shadow"]) == (None, None, True)


@pytest.mark.usefixtures("in_stretches")
@pytest.mark.parametrize("file_format", FORMATS)
async def test_every_match_comes_once_oldest_first(
    log: Any, facts: Any, call: Call, file_format: Any
) -> None:
    batch = [facts.prediction(client_id=f"client-{n % 3}") for n in range(60)]
    foreign = facts.prediction(tenant="tenant-2")
    await log.recorder().record(facts.events(*reversed(batch), foreign))
    everything = await export(call, file_format)
    assert [row["prediction_id"] for row in everything] == [fact.prediction_id for fact in batch]
    chosen = await export(call, file_format, filter=pb.PredictionFilter(client_id="client-1"))
    assert [row["prediction_id"] for row in chosen] == [
        fact.prediction_id for fact in batch if fact.client_id == "client-1"
    ]


@pytest.mark.parametrize("file_format", FORMATS)
async def test_export_of_nothing_is_an_empty_file(call: Call, file_format: Any) -> None:
    assert await export(call, file_format) == []


@pytest.mark.usefixtures("in_stretches")
@pytest.mark.parametrize("file_format", FORMATS[:2])
async def test_file_that_broke_off_is_continued(
    log: Any, facts: Any, call: Call, file_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_export, "_PIECE_BYTES", 100)
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(40))))
    whole = await call(pb.ExportPredictionsRequest(format=file_format))
    assert whole[-1].rows == 40
    for broken in (1, len(whole) // 2, len(whole) - 1):
        arrived = whole[:broken]
        last = arrived[-1].last_prediction_id
        kept = [answer for answer in arrived if answer.last_prediction_id != last or not last]
        # The pieces up to the first one that names the last prediction hold all up to it.
        kept.append(next(answer for answer in whole if answer.last_prediction_id == last))
        if not last:
            kept = []
        rest = await call(pb.ExportPredictionsRequest(format=file_format, after=last))
        assert file_of(kept) + file_of(rest) == file_of(whole)
        assert sum(part[-1].rows for part in (kept, rest) if part) == 40


async def test_lines_continue_behind_the_last_complete_one(
    log: Any, facts: Any, call: Call
) -> None:
    batch = [facts.prediction() for _ in range(5)]
    await log.recorder().record(facts.events(*batch))
    rest = await export(call, after=batch[2].prediction_id)
    assert [row["prediction_id"] for row in rest] == [fact.prediction_id for fact in batch[3:]]


@pytest.mark.usefixtures("in_stretches")
@pytest.mark.parametrize("file_format", FORMATS)
async def test_stretches_that_are_too_long_are_read_in_shorter_ones(
    log: Any, facts: Any, call: Call, file_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_export, "_STRETCH_BYTES", 1500)
    batch = [facts.prediction() for _ in range(30)]
    await log.recorder().record(facts.events(*batch))
    rows = await export(call, file_format)
    assert [row["prediction_id"] for row in rows] == [fact.prediction_id for fact in batch]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "format"),
        ({"format": 99}, "format"),
        ({"format": FORMATS[0], "after": "x"}, "after"),
    ],
)
async def test_export_that_cannot_be_names_the_field(
    call: Call, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(pb.ExportPredictionsRequest(**fields))
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_export_needs_its_scope_and_the_tenant(call: Call, issuer: FakeIssuer) -> None:
    request = pb.ExportPredictionsRequest(format=FORMATS[0])
    with pytest.raises(PermissionDenied, match="predictions:export"):
        await call(request, token=issuer.token("predictions:read"))
    request.tenant = "tenant-2"
    with pytest.raises(PermissionDenied) as caught:
        await call(request)
    assert caught.value.code == "DELEGATION_DENIED"


async def test_without_a_database_nothing_comes(tmp_path: Any, serve: Any, open_log: Any) -> None:
    call = await serve(open_log(f"postgresql://nobody@/weir?host={tmp_path}").database)
    for file_format in FORMATS:
        with pytest.raises(Unavailable) as caught:
            await call(pb.ExportPredictionsRequest(format=file_format))
        assert caught.value.code == "LOG_STORE_UNAVAILABLE"


@pytest.mark.usefixtures("in_stretches")
@pytest.mark.parametrize("file_format", ExportFormat)
async def test_abandoned_export_gives_everything_back(
    log: Any, facts: Any, open_log: Any, file_format: ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_export, "_PIECE_BYTES", 100)
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(60))))
    narrow = open_log(log.url, pool_size=prediction_export.CONNECTIONS, pool_timeout=0.5)
    exporter = PredictionExport(narrow.database, at_most=1, now=now)
    for _ in range(3):
        pieces = exporter.pieces("tenant-1", PredictionFilter(), file_format, after=None)
        await anext(pieces)
        with pytest.raises(ExportsBusy):
            await anext(
                exporter.pieces("tenant-1", PredictionFilter(), file_format, after=new_id())
            )
        await pieces.aclose()
    assert await narrow.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.usefixtures("in_stretches")
async def test_who_reads_slowly_holds_no_transaction(log: Any, facts: Any, open_log: Any) -> None:
    await log.recorder().record(facts.events(*(facts.prediction() for _ in range(60))))
    apart = open_log(log.url)
    exporter = PredictionExport(apart.database, at_most=1, now=now)
    pieces = exporter.pieces("tenant-1", PredictionFilter(), ExportFormat.CSV, after=None)
    await anext(pieces)

    async def nobody_is_at_work() -> bool:
        return not await log.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND state <> 'idle' AND pid <> pg_backend_pid()"
        )

    await until(nobody_is_at_work)
    await pieces.aclose()

"""What becomes of the text and the subject of a prediction, by the tenant's policy."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select

from prediction_log.errors import InputDamaged, LogStoreUnavailable, RejectedData
from prediction_log.event_decoding import decode_prediction
from prediction_log.key_making import create_keys
from prediction_log.record_store import RecordStore, record_writers
from prediction_log.tables import METADATA
from weir.events.v1 import events_pb2

from .conftest import keys_in
from .erasing import SUBJECT, TEXT
from .sealing import ENCRYPTED, NOTHING, PLAIN, seal, sealed_bytes


async def everything(log: Any) -> bytes:
    """Every byte of every column of every row."""
    found = bytearray()
    async with log.database.transaction() as connection:
        for table in METADATA.tables.values():
            for row in await connection.execute(select(table)):
                for value in row:
                    found += value if isinstance(value, bytes) else str(value).encode()
                    found += b"\n"
    return bytes(found)


async def read(log: Any, keys: Any, prediction_id: str) -> str | None:
    """The encrypted text of a row, decrypted."""
    (row,) = await log.rows("SELECT * FROM prediction_logs WHERE id = :id", id=UUID(prediction_id))
    async with log.database.transaction() as connection:
        key = await keys.subject_keys.find(connection, row["tenant"], row["input_key_id"])
    return key.decrypt(row["input_ciphertext"], row["tenant"], row["id"]) if key else None


async def test_tenants_that_keep_nothing_have_nothing_kept(
    log: Any, facts: Any, keys: Any, key_directory: Path
) -> None:
    plain = facts.prediction()
    # What comes sealed against the policy is dropped, too.
    disobedient = seal(key_directory, facts.prediction(), NOTHING, text=TEXT)
    named = seal(key_directory, facts.prediction(), NOTHING, subject=SUBJECT)
    await log.recorder(keys=keys).record(facts.events(plain, disobedient, named))
    rows = await log.rows(
        "SELECT input_keeping, input_text, input_ciphertext, input_key_id, input_unopened, "
        "subject_digest FROM prediction_logs ORDER BY id"
    )
    digests = [row.pop("subject_digest") for row in rows]
    assert (
        rows
        == [
            {
                "input_keeping": "nothing",
                "input_text": None,
                "input_ciphertext": None,
                "input_key_id": None,
                "input_unopened": False,
            }
        ]
        * 3
    )
    assert digests == [None, None, keys.pseudonyms.digest("tenant-1", SUBJECT)]
    assert await log.count("subject_keys") == await log.count("dead_letters") == 0
    kept = await everything(log)
    assert TEXT.encode() not in kept
    assert SUBJECT.encode() not in kept


async def test_plain_text_is_kept_and_its_subject_is_a_pseudonym(
    log: Any, facts: Any, keys: Any, key_directory: Path
) -> None:
    fact = seal(key_directory, facts.prediction(), PLAIN, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    (row,) = await log.rows("SELECT input_text, input_keeping FROM prediction_logs")
    assert row == {"input_text": TEXT, "input_keeping": "plain"}
    assert SUBJECT.encode() not in await everything(log)
    assert await log.count("subject_keys") == 0


async def test_encrypted_text_is_read_with_its_subjects_key_alone(
    log: Any, facts: Any, keys: Any, key_directory: Path
) -> None:
    of_alice = [
        seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=f"{TEXT} {n}")
        for n in range(3)
    ]
    of_nobody = seal(key_directory, facts.prediction(), ENCRYPTED, text=TEXT)
    of_another_tenant = seal(
        key_directory, facts.prediction(tenant="t-2"), ENCRYPTED, subject=SUBJECT, text=TEXT
    )
    facts_ = [*of_alice, of_nobody, of_another_tenant]
    for _ in range(2):
        await log.recorder(keys=keys).record(facts.events(*facts_))
    assert await log.count("prediction_logs") == 5
    assert await log.count("subject_keys") == 3
    kept = await everything(log)
    assert TEXT.encode() not in kept
    assert SUBJECT.encode() not in kept
    assert [await read(log, keys, fact.prediction_id) for fact in facts_] == [
        f"{TEXT} 0",
        f"{TEXT} 1",
        f"{TEXT} 2",
        TEXT,
        TEXT,
    ]
    rows = await log.rows("SELECT id, tenant, input_key_id FROM prediction_logs ORDER BY id")
    assert len({row["input_key_id"] for row in rows}) == 3
    # Equal texts under one key differ; a ciphertext belongs to its prediction and tenant.
    row, other = rows[0], rows[1]
    async with log.database.transaction() as connection:
        key = await keys.subject_keys.find(connection, row["tenant"], row["input_key_id"])
    sealed = key.encrypt(TEXT, row["tenant"], row["id"])
    assert sealed != key.encrypt(TEXT, row["tenant"], row["id"])
    for tenant, identifier in ((row["tenant"], other["id"]), ("t-2", row["id"])):
        with pytest.raises(InputDamaged):
            key.decrypt(sealed, tenant, identifier)


async def test_what_cannot_be_opened_is_a_row_all_the_same_and_is_completed_later(
    log: Any, facts: Any, keys: Any, key_directory: Path, tmp_path: Path
) -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("weir_prediction_log_unopened_inputs_total") or 0

    create_keys(tmp_path)
    before = count()
    good = seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    moved = seal(key_directory, facts.prediction(), ENCRYPTED, text=TEXT)
    moved.sealed_input = good.sealed_input
    cut = seal(key_directory, facts.prediction(), PLAIN, text=TEXT)
    cut.sealed_input = cut.sealed_input[:20]
    nul = seal(key_directory, facts.prediction(), PLAIN, text="a\0b")
    other_key = seal(tmp_path, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    nameless = seal(key_directory, facts.prediction(), NOTHING, subject="s" * 257)
    foreign = facts.prediction()
    foreign.sealed_input = sealed_bytes(key_directory, foreign.prediction_id, b"\xff\xff")
    events = facts.events(good, moved, cut, nul, other_key, nameless, foreign)
    await log.recorder(keys=keys).record(events)
    rows = await log.rows("SELECT input_unopened, subject_digest FROM prediction_logs ORDER BY id")
    assert [row["input_unopened"] for row in rows] == [False, *([True] * 6)]
    assert [row["subject_digest"] is None for row in rows] == [False, *([True] * 6)]
    letters = await log.rows("SELECT entry_id, data, reason FROM dead_letters ORDER BY entry_id")
    assert [letter["data"] for letter in letters] == [event.data for event in events[1:]]
    assert {letter["reason"] for letter in letters} == {
        "the input was sealed for another key or prediction, or is damaged",
        "the sealed text holds a NUL character",
        "the sealed subject is too long",
        "the sealed bytes are no PrivateInput",
    }
    assert count() - before == 6
    # With the key that it was sealed for, a replay adds what was missing.
    await log.recorder(keys=keys_in(tmp_path)).record(events[4:5])
    assert await log.count("prediction_logs") == 7
    (row,) = await log.rows(
        "SELECT input_unopened, input_ciphertext FROM prediction_logs WHERE id = :id",
        id=UUID(other_key.prediction_id),
    )
    assert row["input_unopened"] is False
    assert row["input_ciphertext"] is not None


async def test_log_without_keys_opens_nothing_and_loses_nothing(
    log: Any, facts: Any, key_directory: Path
) -> None:
    fact = seal(key_directory, facts.prediction(), PLAIN, subject=SUBJECT, text=TEXT)
    await log.recorder().record(facts.events(fact, facts.prediction()))
    rows = await log.rows("SELECT input_unopened, input_text FROM prediction_logs ORDER BY id")
    assert rows == [
        {"input_unopened": True, "input_text": None},
        {"input_unopened": False, "input_text": None},
    ]
    (letter,) = await log.rows("SELECT reason FROM dead_letters")
    assert letter["reason"] == "the log has no key for sealed inputs"


async def test_key_that_cannot_be_unwrapped_concerns_its_own_texts_alone(
    log: Any, facts: Any, keys: Any, key_directory: Path
) -> None:
    def about(subject: str) -> events_pb2.PredictionRecorded:
        return seal(key_directory, facts.prediction(), ENCRYPTED, subject=subject, text=TEXT)

    await log.recorder(keys=keys).record(facts.events(about("damaged"), about("fine")))
    await log.rows(
        "UPDATE subject_keys SET wrapped_key = '\\x00' WHERE subject_digest = :digest RETURNING id",
        digest=keys.pseudonyms.digest("tenant-1", "damaged"),
    )
    later = [about("damaged"), about("fine"), facts.prediction()]
    await log.recorder(keys=keys).record(facts.events(*later))
    rows = await log.rows("SELECT input_unopened FROM prediction_logs ORDER BY id")
    assert [row["input_unopened"] for row in rows] == [False, False, True, False, False]
    (letter,) = await log.rows("SELECT data, reason FROM dead_letters")
    assert letter["data"] == later[0].SerializeToString()
    assert letter["reason"] == "a subject's key is damaged or its master key missing"


async def test_shut_texts_are_set_aside_even_if_the_database_goes_away_in_between(
    log: Any, facts: Any, keys: Any, key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def about_her() -> events_pb2.PredictionRecorded:
        return seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)

    await log.recorder(keys=keys).record(facts.events(about_her()))
    await log.execute("UPDATE subject_keys SET wrapped_key = '\\x00'")
    recorder = log.recorder(keys=keys)
    batch = await recorder.prepare(facts.events(about_her()))
    insert, tries = RecordStore.insert, iter(range(5))

    async def away_at_the_second_try(store: RecordStore, records: Any) -> int:
        if next(tries) == 1:
            raise LogStoreUnavailable("gone")
        return await insert(store, records)

    monkeypatch.setattr(RecordStore, "insert", away_at_the_second_try)
    with pytest.raises(LogStoreUnavailable):
        await recorder.write(batch)
    await recorder.write(batch)
    assert await log.count("prediction_logs") == 2
    assert await log.count("dead_letters") == 1


async def test_replicas_agree_on_the_keys_that_they_make_at_once(
    log: Any, facts: Any, keys: Any, key_directory: Path, open_log: Any
) -> None:
    batches = [
        [
            seal(key_directory, facts.prediction(), ENCRYPTED, subject=f"s{n}", text=TEXT)
            for n in range(20)
        ]
        for _ in range(4)
    ]
    logs = [open_log(log.url) for _ in batches]
    await asyncio.gather(
        *(
            each.recorder(keys=keys).record(facts.events(*batch))
            for each, batch in zip(logs, batches, strict=True)
        )
    )
    assert await log.count("subject_keys") == 20
    for batch in batches:
        assert await read(log, keys, batch[7].prediction_id) == TEXT


async def test_table_takes_no_readable_text_that_should_be_encrypted(log: Any, facts: Any) -> None:
    (record,) = decode_prediction(*facts.events(facts.prediction(keeping=ENCRYPTED)))
    store = RecordStore(log.database, record_writers())
    object.__setattr__(record, "input_text", TEXT)
    with pytest.raises(RejectedData):
        await store.insert([record])
    assert TEXT not in repr(record)

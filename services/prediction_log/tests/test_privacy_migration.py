"""The schema of private parts, put in and taken out again with rows in the tables."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prediction_log.database import database_url
from prediction_log.event_decoding import decode_feedback
from prediction_log.migrate import downgrade, upgrade
from testkit.stores import PostgresStore

from .erasing import SUBJECT, TEXT
from .sealing import ENCRYPTED, PLAIN, seal


async def test_downgrade_keeps_predictions_without_their_private_parts(
    postgres_server: PostgresStore,
    open_log: Callable[..., Any],
    facts: Any,
    keys: Any,
    key_directory: Path,
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    address = database_url(url)
    await upgrade(address, wait=10)
    log = open_log(url)
    batch = [
        seal(key_directory, facts.prediction(), keeping, subject=SUBJECT, text=TEXT)
        for keeping in (ENCRYPTED, PLAIN)
    ]
    await log.recorder(keys=keys).record(facts.events(*batch))
    opinion = facts.feedback(batch[0], comment=TEXT)
    await log.recorder(decode_feedback).record(facts.events(opinion))
    await downgrade(address, wait=1, revision="0002")
    assert await log.rows("SELECT label FROM prediction_logs") == [{"label": "positive"}] * 2
    gone = "to_regclass('subject_keys') IS NULL AND to_regclass('erasures') IS NULL"
    assert await log.rows(f"SELECT {gone} AS gone") == [{"gone": True}]
    await upgrade(address, wait=1)
    rows = await log.rows("SELECT input_keeping, input_text, subject_digest FROM prediction_logs")
    assert rows == [{"input_keeping": "nothing", "input_text": None, "subject_digest": None}] * 2
    more = seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(more))
    assert await log.count("subject_keys") == 1
    assert await log.rows("SELECT comment FROM feedback") == [{"comment": TEXT}]

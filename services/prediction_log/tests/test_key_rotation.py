"""Another master key takes over: every text stays readable, under load and after a kill."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prediction_log.errors import LogStoreUnavailable, MasterKeyMissing
from prediction_log.key_making import MASTER_KEYS, create_keys
from prediction_log.key_rotation import KeyRotation, RotationResult
from prediction_log.master_keys import MasterKeys

from .conftest import keys_in
from .erasing import TEXT, KilledAfter
from .sealing import ENCRYPTED, seal
from .test_private_parts import read

OpenLog = Callable[..., Any]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Keys of this test's own."""
    create_keys(tmp_path / "keys")
    return tmp_path / "keys"


async def write(log: Any, facts: Any, keys: Any, directory: Path, *subjects: str) -> list[str]:
    """One encrypted text for each subject; returns the predictions' ids."""
    sealed = [
        seal(directory, facts.prediction(), ENCRYPTED, subject=subject, text=TEXT)
        for subject in subjects
    ]
    await log.recorder(keys=keys).record(facts.events(*sealed))
    return [fact.prediction_id for fact in sealed]


def rotation(log: Any, directory: Path) -> KeyRotation:
    return KeyRotation(log.database, MasterKeys(directory / MASTER_KEYS))


async def under(log: Any) -> set[str]:
    rows = await log.rows("SELECT DISTINCT master_key FROM subject_keys")
    return {row["master_key"] for row in rows}


def without(file: Path, name: str) -> None:
    content = json.loads(file.read_text())
    del content["keys"][name]
    file.write_text(json.dumps(content))


async def test_texts_are_read_without_the_old_master_key_after_the_rotation(
    log: Any, facts: Any, directory: Path
) -> None:
    keys = keys_in(directory)
    written = await write(log, facts, keys, directory, "alice", "bob", "")
    (old,) = await under(log)
    create_keys(directory, new_master_key=True)
    # The running service takes the new key for new subjects and still reads with the old one.
    written += await write(log, facts, keys, directory, "carol", "alice")
    assert await read(log, keys, written[0]) == TEXT
    new = MasterKeys(directory / MASTER_KEYS).current
    assert await under(log) == {old, new}
    ciphertexts = await log.rows("SELECT id, input_ciphertext FROM prediction_logs ORDER BY id")

    assert await rotation(log, directory).run() == RotationResult(new, 3, {})
    assert await rotation(log, directory).run() == RotationResult(new, 0, {})
    without(directory / MASTER_KEYS, old)
    assert await under(log) == {new}
    for prediction_id in written:
        assert await read(log, keys_in(directory), prediction_id) == TEXT
        assert await read(log, keys, prediction_id) == TEXT
    again = await log.rows("SELECT id, input_ciphertext FROM prediction_logs ORDER BY id")
    assert again == ciphertexts


async def test_key_that_cannot_be_unwrapped_is_told_and_stops_nothing(
    log: Any, facts: Any, directory: Path
) -> None:
    keys = keys_in(directory)
    lost, _ = await write(log, facts, keys, directory, "lost", "found")
    await log.execute(
        "UPDATE subject_keys SET master_key = 'of last year' "
        "WHERE id = (SELECT input_key_id FROM prediction_logs ORDER BY id LIMIT 1)"
    )
    create_keys(directory, new_master_key=True)
    result = await rotation(log, directory).run()
    assert (result.rewrapped, result.left) == (1, {"of last year": 1})
    with pytest.raises(MasterKeyMissing):
        await read(log, keys, lost)


async def test_rotation_that_was_broken_off_goes_on_where_it_was_while_others_write(
    log: Any, facts: Any, directory: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prediction_log.key_rotation._BATCH", 10)
    keys = keys_in(directory)
    written = await write(log, facts, keys, directory, *(f"s{n}" for n in range(45)))
    create_keys(directory, new_master_key=True)
    master_keys = MasterKeys(directory / MASTER_KEYS)
    broken: Any = KilledAfter(log.database, 2)
    with pytest.raises(LogStoreUnavailable):
        await KeyRotation(broken, master_keys).run()
    assert len(await under(log)) == 2

    async def go_on_writing() -> None:
        other = open_log(log.url)
        for turn in range(10):
            more = await write(other, facts, keys, directory, f"s{turn}", f"new{turn}")
            written.extend(more)
            assert await read(other, keys, more[0]) == TEXT

    results = await asyncio.gather(
        KeyRotation(log.database, master_keys).run(),
        KeyRotation(open_log(log.url).database, master_keys).run(),
        go_on_writing(),
    )
    assert await under(log) == {master_keys.current}
    assert sum(result.rewrapped for result in results if result) == 25
    assert await log.count("subject_keys") == 55
    for prediction_id in written[::7]:
        assert await read(log, keys, prediction_id) == TEXT


def test_command_tells_what_it_did_and_whether_anything_is_left(
    migrated_url: str, directory: Path, tmp_path: Path
) -> None:
    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "prediction_log", "rotate-keys"],
            env=os.environ | {"WEIR_DATABASE_URL": migrated_url} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(WEIR_MASTER_KEYS_FILE=str(directory / MASTER_KEYS))
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["current"] == MasterKeys(directory / MASTER_KEYS).current
    assert answer["rewrapped"] == 0
    assert (done.returncode == 0) == (answer["left"] == {})
    for refused, reason in (
        (run(), "WEIR_MASTER_KEYS_FILE is not set"),
        (run(WEIR_MASTER_KEYS_FILE=str(tmp_path / "none")), "No such file"),
    ):
        assert refused.returncode == 1
        assert reason in refused.stdout
        assert "Traceback" not in refused.stdout + refused.stderr

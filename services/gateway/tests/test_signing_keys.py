"""Signing keys: their states, their directory, and the command that rotates them."""

import asyncio
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from gateway.__main__ import main
from gateway.key_directory import MANIFEST, KeyDirectoryWatch, load_keys
from gateway.key_rotation import LeadTooShort, replace_compromised, rotate, take_over
from gateway.signing_keys import RETIRES_FOR, KeyRing, SigningKey, SigningKeyInvalid

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def ring_of(directory: Path, clock: Clock) -> KeyRing:
    return KeyRing(load_keys(directory), clock=clock)


def ids(states: dict[str, Any], state: str) -> list[str]:
    return [key for key, its in states.items() if its == state]


def test_first_key_signs_at_once(directory: Path) -> None:
    states = rotate(directory, now=NOON)
    (key_id,) = ids(states, "current")
    assert ring_of(directory, Clock()).signing_key.key_id == key_id
    assert (directory.stat().st_mode & 0o777, len(list(directory.iterdir()))) == (0o700, 2)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in directory.iterdir())


def test_next_key_is_published_before_it_signs_and_the_old_one_verifies_after(
    directory: Path,
) -> None:
    clock = Clock()
    (first,) = rotate(directory, now=NOON)
    second = ids(rotate(directory, now=NOON, lead=TEN_MINUTES), "next")[0]
    ring = ring_of(directory, clock)
    assert (ring.signing_key.key_id, set(ring.published.keys)) == (first, {first, second})
    clock.now = NOON + timedelta(seconds=599)
    assert ring.signing_key.key_id == first
    clock.now = NOON + TEN_MINUTES
    assert ring.signing_key.key_id == second
    assert ring.states() == {first: "retiring", second: "current"}
    clock.now = NOON + TEN_MINUTES + timedelta(seconds=RETIRES_FOR - 1)
    assert set(ring.published.keys) == {first, second}
    clock.now += timedelta(seconds=1)
    assert set(ring.published.keys) == {second}


def test_published_keys_have_another_etag_when_they_change(directory: Path) -> None:
    clock = Clock()
    rotate(directory, now=NOON)
    ring = ring_of(directory, clock)
    before = ring.published.etag
    assert ring.published.etag == before
    rotate(directory, now=NOON)
    ring.replace(load_keys(directory))
    assert ring.published.etag != before
    assert b'"d"' not in ring.published.body


def test_a_second_key_is_not_prepared_while_one_is(directory: Path) -> None:
    rotate(directory, now=NOON)
    rotate(directory, now=NOON)
    before = (directory / MANIFEST).read_bytes()
    assert len(rotate(directory, now=NOON + timedelta(minutes=9))) == 2
    assert (directory / MANIFEST).read_bytes() == before


def test_retired_key_is_deleted_by_the_next_run(directory: Path) -> None:
    (first,) = rotate(directory, now=NOON)
    rotate(directory, now=NOON)
    later = NOON + TEN_MINUTES + timedelta(seconds=RETIRES_FOR)
    states = rotate(directory, now=later, if_older_than=timedelta(days=30))
    assert first not in states
    assert not (directory / f"{first}.pem").exists()
    assert len(list(directory.glob("*.pem"))) == 1


@pytest.mark.parametrize(("age", "keys"), [(29, 1), (30, 2)])
def test_schedule_rotates_only_a_key_that_is_old_enough(
    directory: Path, age: int, keys: int
) -> None:
    rotate(directory, now=NOON)
    month = timedelta(days=30)
    assert len(rotate(directory, now=NOON + timedelta(days=age), if_older_than=month)) == keys


def test_lead_below_the_published_keys_max_age_is_refused(directory: Path) -> None:
    with pytest.raises(LeadTooShort, match="300 s"):
        rotate(directory, lead=timedelta(seconds=299))
    assert not directory.exists()


def test_manifest_that_hurries_a_key_is_refused(directory: Path) -> None:
    rotate(directory, now=NOON)
    rotate(directory, now=NOON)
    content = json.loads((directory / MANIFEST).read_text())
    content["keys"][1]["signs_from"] = (NOON + timedelta(seconds=299)).isoformat()
    (directory / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(SigningKeyInvalid, match="less than 300 s"):
        load_keys(directory)


def test_empty_directory_takes_over_the_keys_of_another_and_their_times(
    directory: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    rotate(directory, now=NOON)
    states = rotate(directory, now=NOON)
    take_over(moved, directory)
    assert rotate(moved, now=NOON) == states
    assert [file.stat().st_mode & 0o777 for file in moved.iterdir()] == [0o600] * 3


def test_command_takes_over_nothing_where_keys_are_or_none_are(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    source = tmp_path / "source"
    rotate(source)
    command = ["rotate-signing-key", "--directory", str(directory), "--if-older-than", "1d"]
    assert main([*command, "--take-over", str(tmp_path / "empty")]) == 0
    own = json.loads(capsys.readouterr().out)["keys"]
    assert main([*command, "--take-over", str(source)]) == 0
    assert json.loads(capsys.readouterr().out)["keys"] == own


def test_compromised_key_is_gone_at_once(directory: Path) -> None:
    rotate(directory, now=NOON)
    old = set(rotate(directory, now=NOON))
    (new,) = replace_compromised(directory, now=NOON)
    assert new not in old
    assert list(ring_of(directory, Clock()).published.keys) == [new]
    assert [file.stem for file in directory.glob("*.pem")] == [new]


def test_directory_with_one_file_and_no_manifest_goes_on_signing(directory: Path) -> None:
    directory.mkdir()
    key = ECKey.generate_key("P-256")
    (directory / "signing-key.pem").write_bytes(key.as_pem(private=True))
    os.utime(directory / "signing-key.pem", (NOON.timestamp(), NOON.timestamp()))
    assert ring_of(directory, Clock()).signing_key.key_id == key.thumbprint()
    states = rotate(directory, now=NOON + timedelta(days=1))
    assert states[key.thumbprint()] == "current"
    assert len(ids(states, "next")) == 1
    assert (directory / "signing-key.pem").exists()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_broken_key_file_is_named(directory: Path, content: bytes) -> None:
    directory.mkdir()
    (directory / "key.pem").write_bytes(content)
    with pytest.raises(SigningKeyInvalid, match=r"key\.pem"):
        load_keys(directory)


@pytest.mark.parametrize(
    "key", [ECKey.generate_key("P-384"), ECKey.import_key(ECKey.generate_key("P-256").as_dict())]
)
def test_key_of_another_kind_is_refused(directory: Path, key: ECKey) -> None:
    directory.mkdir()
    private = key.curve_name == "P-384"
    (directory / "key.pem").write_bytes(key.as_pem(private=private))
    with pytest.raises(SigningKeyInvalid, match="no P-256 private key"):
        load_keys(directory)


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ("{", "Invalid JSON"),
        ('{"format": 2, "keys": []}', "format"),
        ('{"format": 1, "keys": []}', "keys"),
        (
            '{"keys": [{"key_id": "k", "file": "../key.pem", "published_at": '
            '"2026-11-21T12:00:00Z", "signs_from": "2026-11-21T12:00:00Z"}]}',
            "file",
        ),
    ],
)
def test_broken_manifest_is_refused(directory: Path, manifest: str, fault: str) -> None:
    directory.mkdir()
    (directory / MANIFEST).write_text(manifest)
    with pytest.raises(SigningKeyInvalid, match=fault):
        load_keys(directory)


def test_file_with_another_key_than_stated_is_refused(directory: Path) -> None:
    (key_id,) = rotate(directory)
    other = ECKey.generate_key("P-256").as_pem(private=True)
    (directory / f"{key_id}.pem").write_bytes(other)
    with pytest.raises(SigningKeyInvalid, match="another key"):
        load_keys(directory)


def test_several_files_need_a_manifest(directory: Path) -> None:
    rotate(directory)
    rotate(directory)
    (directory / MANIFEST).unlink()
    with pytest.raises(SigningKeyInvalid, match="several keys"):
        load_keys(directory)


def test_empty_directory_says_what_to_do(directory: Path) -> None:
    with pytest.raises(SigningKeyInvalid, match="rotate-signing-key"):
        load_keys(directory)


async def test_watch_takes_changed_keys_over(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(directory)
    ring = KeyRing(keys := load_keys(directory))
    watch = asyncio.create_task(KeyDirectoryWatch(directory, ring, keys).follow(interval=0.01))
    changed = asyncio.Event()
    take = ring.replace

    def replace(keys: Sequence[SigningKey]) -> None:
        take(keys)
        changed.set()

    monkeypatch.setattr(ring, "replace", replace)
    (new,) = replace_compromised(directory)
    await asyncio.wait_for(changed.wait(), 60)
    assert ring.signing_key.key_id == new
    watch.cancel()


def test_last_good_keys_stay_while_the_directory_is_broken_and_that_is_said_once(
    directory: Path,
) -> None:
    (key_id,) = rotate(directory)
    ring = KeyRing(keys := load_keys(directory))
    watch = KeyDirectoryWatch(directory, ring, keys)
    content = (directory / MANIFEST).read_bytes()
    with capture_logs() as logs:
        (directory / MANIFEST).write_text("{")
        watch.look()
        watch.look()
        assert ring.signing_key.key_id == key_id
        (directory / MANIFEST).write_bytes(content)
        watch.look()
        watch.look()
    assert [line["event"] for line in logs] == ["signing_keys_broken", "signing_keys_whole_again"]


def test_readers_beside_several_writers_never_find_the_keys_broken(directory: Path) -> None:
    rotate(directory)
    ring = KeyRing(keys := load_keys(directory))
    watch = KeyDirectoryWatch(directory, ring, keys)

    def rotate_often() -> None:
        for _ in range(5):
            replace_compromised(directory)

    with capture_logs() as logs, ThreadPoolExecutor() as threads:
        writers = [threads.submit(rotate_often) for _ in range(2)]
        while not all(writer.done() for writer in writers):
            watch.look()
        watch.look()
    assert {line["event"] for line in logs} == {"signing_keys_changed"}
    assert not any(writer.exception() for writer in writers)
    (left,) = directory.glob("*.pem")
    assert ring.signing_key.key_id == left.stem


def test_signature_is_one_that_others_verify() -> None:
    key = SigningKey(ECKey.generate_key("P-256"))
    for number in range(50):
        decoded = jwt.decode(key.sign({"n": number}), key.public, algorithms=["ES256"])
        assert decoded.claims == {"n": number}
        assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": key.key_id}


def test_command_tells_states_and_refuses_in_one_line(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["rotate-signing-key", "--directory", str(directory)]
    assert main(command) == 0
    assert list(json.loads(capsys.readouterr().out)["keys"].values()) == ["current"]
    assert main([*command, "--if-older-than", "30d"]) == 0
    assert list(json.loads(capsys.readouterr().out)["keys"].values()) == ["current"]
    assert main([*command, "--lead", "6m"]) == 0
    assert list(json.loads(capsys.readouterr().out)["keys"].values()) == ["current", "next"]
    assert main([*command, "--lead", "1m"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "--compromised"]) == 0
    assert list(json.loads(capsys.readouterr().out)["keys"].values()) == ["current"]
    with pytest.raises(SystemExit):
        main([*command, "--lead", "soon"])


def test_commands_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["rotate-signing-key", "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert "--if-older-than 30d" in told
    assert "--compromised" in told

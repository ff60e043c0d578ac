"""Making the log's keys, and refusing files that hold none."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError

from prediction_log.errors import InputDamaged, MasterKeyMissing
from prediction_log.key_files import KeyFileInvalid, load_opening_keys, load_subject_secret
from prediction_log.key_making import (
    AUDIT_PUBLIC_KEY,
    AUDIT_SIGNING_KEY,
    MASTER_KEYS,
    PRIVATE_KEY,
    PSEUDONYM_KEY,
    PUBLIC_KEY,
    create_keys,
)
from prediction_log.master_keys import MasterKeys
from prediction_log.privacy_keys import PrivacyKeys, load_privacy_keys
from prediction_log.pseudonyms import Pseudonyms
from prediction_log.settings import PrivacySettings

ALL = {PRIVATE_KEY, PUBLIC_KEY, PSEUDONYM_KEY, MASTER_KEYS, AUDIT_SIGNING_KEY, AUDIT_PUBLIC_KEY}


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_command_makes_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    command = [sys.executable, "-m", "prediction_log", "create-keys"]
    done = subprocess.run(
        [*command, "--directory", str(directory)], capture_output=True, text=True, check=True
    )
    assert {Path(name).name for name in json.loads(done.stdout)["written"]} == ALL
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    made = contents(directory)
    assert create_keys(directory) == []
    (directory / PUBLIC_KEY).unlink()
    assert create_keys(directory) == [directory / PUBLIC_KEY]
    assert contents(directory) == made
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--directory" in refused.stderr


def test_new_master_key_is_current_at_once_and_the_old_one_still_unwraps(tmp_path: Path) -> None:
    create_keys(tmp_path)
    keys = MasterKeys(tmp_path / MASTER_KEYS)
    old, key_id = keys.current, uuid4()
    wrapped = keys.wrap(b"k" * 32, key_id, "acme")
    assert create_keys(tmp_path, new_master_key=True) == [tmp_path / MASTER_KEYS]
    keys.refresh()
    assert keys.current != old
    assert keys.unwrap(old, wrapped, key_id, "acme") == b"k" * 32
    with pytest.raises(InputDamaged):
        keys.unwrap(keys.current, wrapped, key_id, "acme")
    with pytest.raises(InputDamaged):
        keys.unwrap(old, wrapped, key_id, "another")
    with pytest.raises(MasterKeyMissing):
        keys.unwrap("lost", wrapped, key_id, "acme")


@pytest.mark.parametrize("content", [b"", b"{", b'{"current": "x", "keys": {}}', b"[]", None])
def test_master_keys_that_break_while_in_use_stay_as_they_were(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    create_keys(tmp_path)
    file = tmp_path / MASTER_KEYS
    keys = MasterKeys(file)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    keys.refresh()
    assert keys.unwrap(keys.current, keys.wrap(b"k", uuid4_ := uuid4(), "t"), uuid4_, "t") == b"k"
    assert "master_keys_not_reread" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"current": "a", "keys": {"b": "c2hvcnQ="}}',
        '{"current": "a", "keys": {"a": "c2hvcnQ="}}',
        '{"current": "a", "keys": {"a": "not base64"}}',
        '{"current": "a", "keys": {"a": 1}}',
        f'{{"current": "", "keys": {{"": "{"A" * 43}="}}}}',
    ],
)
def test_file_of_master_keys_that_cannot_be_used_is_named_and_not_quoted(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(KeyFileInvalid) as caught:
        MasterKeys(tmp_path / "keys")
    assert str(tmp_path / "keys") in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_opening_keys_are_x25519_and_may_be_several(tmp_path: Path) -> None:
    for name in ("old", "new"):
        create_keys(tmp_path / name)
    pems = [(tmp_path / name / PRIVATE_KEY).read_bytes() for name in ("new", "old")]
    (tmp_path / "both").write_bytes(b"".join(pems))
    assert len(load_opening_keys(tmp_path / "both")) == 2
    foreign = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    for wrong in (b"", b"text", foreign, (tmp_path / "new" / PUBLIC_KEY).read_bytes()):
        (tmp_path / "wrong").write_bytes(wrong)
        with pytest.raises(KeyFileInvalid):
            load_opening_keys(tmp_path / "wrong")


def test_subject_secret_is_long_hex(tmp_path: Path) -> None:
    for wrong in ("", "short", "00" * 31, "ü" * 64):
        (tmp_path / "secret").write_text(wrong)
        with pytest.raises(KeyFileInvalid):
            load_subject_secret(tmp_path / "secret")


def test_pseudonym_is_the_same_for_the_same_and_differs_for_others() -> None:
    names = Pseudonyms(bytes(32))
    digest = names.digest("acme", "alice")
    assert digest == Pseudonyms(bytes(32)).digest("acme", "alice")
    others = [
        names.digest("zeta", "alice"),
        names.digest("acme", "bob"),
        names.digest("acmea", "lice"),
        Pseudonyms(b"1" * 32).digest("acme", "alice"),
    ]
    assert len({digest, *others}) == 5


def test_keys_come_together_or_not_at_all(tmp_path: Path) -> None:
    assert load_privacy_keys(PrivacySettings()) == PrivacyKeys()
    with pytest.raises(ValidationError, match="are needed together"):
        PrivacySettings(subject_secret_file=tmp_path / PSEUDONYM_KEY)

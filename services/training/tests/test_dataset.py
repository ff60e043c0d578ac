from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from training.dataset import read_dataset
from training.domain import Example, InputError

LABELS = ("negative", "positive")
ROW = '{"text": "fine", "label": 1}\n'


def test_rows_are_read_in_file_order_with_name_split_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "toys" / "dev.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress((ROW + '{"text": "bad", "label": 0, "id": 7}\n').encode()))

    dataset = read_dataset(path, LABELS)

    assert dataset.examples == (Example("fine", 1), Example("bad", 0))
    assert dataset.title == "toys dev"
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_limit_keeps_the_first_rows_and_the_digest_of_all(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(ROW * 5)

    dataset = read_dataset(path, LABELS, limit=2)

    assert len(dataset.examples) == 2
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("not json\n", "not JSON"),
        ("\n", "not JSON"),
        ("[1, 2]\n", "not a JSON object"),
        ('{"label": 1}\n', '"text" must be a string'),
        ('{"text": 5, "label": 1}\n', '"text" must be a string'),
        ('{"text": "  ", "label": 1}\n', "not blank"),
        ('{"text": "fine"}\n', '"label" must be an integer'),
        ('{"text": "fine", "label": true}\n', '"label" must be an integer'),
        ('{"text": "fine", "label": "1"}\n', '"label" must be an integer'),
        ('{"text": "fine", "label": 2}\n', r"unknown label 2; known are 0 \(negative\), 1"),
        ('{"text": "fine", "label": -1}\n', "unknown label -1"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(ROW + line)

    with pytest.raises(InputError, match=rf"train\.jsonl, line 2: .*{complaint}"):
        read_dataset(path, LABELS)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("empty.jsonl", b"", "no rows"),
        ("empty.jsonl.gz", gzip.compress(b""), "no rows"),
        ("cut.jsonl.gz", gzip.compress(ROW.encode() * 100)[:-12], "not a complete gzip"),
        ("plain.jsonl.gz", ROW.encode(), "not a complete gzip"),
        ("latin.jsonl", b'{"text": "caf\xe9", "label": 1}\n', "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(
    tmp_path: Path, file: str, content: bytes, complaint: str
) -> None:
    (tmp_path / file).write_bytes(content)

    with pytest.raises(InputError, match=rf"{file}: {complaint}"):
        read_dataset(tmp_path / file, LABELS)


def test_a_damaged_gzip_body_is_refused(tmp_path: Path) -> None:
    body = bytearray(gzip.compress(ROW.encode() * 100))
    body[12] ^= 0xFF
    (tmp_path / "train.jsonl.gz").write_bytes(bytes(body))

    with pytest.raises(InputError, match="not a complete gzip"):
        read_dataset(tmp_path / "train.jsonl.gz", LABELS)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_dataset(tmp_path / "nowhere.jsonl", LABELS)
    with pytest.raises(InputError, match="cannot be read"):
        read_dataset(tmp_path, LABELS)

"""What ``weir-train prepare`` refuses, in one line and with exit code 2, and leaves nothing of."""

from __future__ import annotations

import gzip
import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training import __main__ as command

from .conftest import make_rows, write_rows

ROW = b'{"text": "fine", "label": 1}\n'


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file can grow beyond ``limit`` bytes: the kernel refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Refused(Exception):
    """The command ended with exit code 2; the message is what it wrote."""


class NotWritten(Exception):
    """The command ended with exit code 1; the message is what it wrote."""


@pytest.fixture
def prepare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Any:
    def run(*arguments: object) -> Path:
        output = tmp_path / "out" / "data"
        given = ["weir-train", "prepare", "--output", str(output), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", given)
        code: Any = 0
        try:
            command.main()
        except SystemExit as ended:
            code = ended.code
        if code:
            complaint = {1: NotWritten, 2: Refused}[code]
            raise complaint(capsys.readouterr().err.splitlines()[-1])
        return output

    return run


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "good" / "train.jsonl", make_rows(100, seed=1))


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("t.jsonl", b"", "no rows"),
        ("t.jsonl.gz", gzip.compress(b""), "no rows"),
        ("t.csv", b"text,label\n", "no rows"),
        ("t.csv", b"", "no rows"),
        ("t.jsonl.gz", gzip.compress(ROW * 100)[:-12], "not a complete gzip"),
        ("t.jsonl.gz", ROW, "not a complete gzip"),
        ("t.jsonl", ROW.decode().encode("utf-16"), "UTF-16 text"),
        ("t.parquet", ROW, r"not \.jsonl, \.csv or \.tsv"),
        ("t.jsonl", b'{"review": "fine", "label": 1}\n', "no column text; it has label, review"),
        ("t.tsv", b"text\tstars\nfine\t1\n", "no column label; it has text, stars"),
        ("t.jsonl", ROW + b"not json\n", "line 2: not JSON"),
        ("t.jsonl", ROW + b"[1]\n", "line 2: not a JSON object"),
        ("t.jsonl", ROW + b"[" * 100_000 + b"\n", "line 2: not JSON .nested too deeply"),
        ("t.jsonl", ROW + b'{"text": "caf\xe9", "label": 1}\n', "line 2: not UTF-8"),
        ("t.jsonl", ROW + b'{"text": "\\ud800", "label": 1}\n', "line 2: not UTF-8"),
        ("t.jsonl", ROW + b'{"text": 5, "label": 1}\n', 'line 2: "text" must be a string'),
        ("t.jsonl", ROW + b'{"text": " <br> ", "label": 1}\n', "line 2: the text is blank"),
        ("t.jsonl", ROW + b'{"text": "fine"}\n', 'line 2: "label" is missing'),
        ("t.jsonl", ROW + b'{"text": "fine", "label": 2}\n', "line 2: unknown label '2'"),
        ("t.jsonl", ROW + b'{"text": "fine", "label": true}\n', "unknown label 'true'"),
        ("t.csv", b"text,label\nfine,1\na,b,1\n", "line 3: 3 fields where the header has 2"),
        ("t.jsonl", ROW * 3, "every row has the label positive|no dev rows"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    prepare: Any, good: Path, tmp_path: Path, file: str, content: bytes, complaint: str
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / file).write_bytes(content)

    with pytest.raises(Refused, match=complaint):
        prepare("--train", tmp_path / "bad" / file, "--dev", good)
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_refused(prepare: Any, good: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere\.jsonl: no such file"):
        prepare("--train", good, "--dev", tmp_path / "nowhere.jsonl")


def test_a_single_class_is_refused(prepare: Any, tmp_path: Path) -> None:
    rows = [{"text": f"fine {n}", "label": 1} for n in range(50)]
    source = write_rows(tmp_path / "one" / "t.jsonl", rows)

    with pytest.raises(Refused, match="train: every row has the label positive"):
        prepare("--train", source, "--dev-share", "0.2")


def test_a_label_that_hardly_occurs_is_refused(prepare: Any, tmp_path: Path) -> None:
    rows = [{"text": f"fine {n}", "label": int(n % 100 > 0)} for n in range(500)]
    source = write_rows(tmp_path / "one" / "t.jsonl", rows)

    with pytest.raises(Refused, match="label negative, wanted are at least 2%"):
        prepare("--train", source, "--dev-share", "0.2")


def test_no_dev_rows_are_refused(prepare: Any, good: Path) -> None:
    with pytest.raises(Refused, match="no dev rows are left: give dev files or a dev_share"):
        prepare("--train", good)


def test_bad_rows_up_to_the_stated_share_are_listed_without_their_text(
    prepare: Any, good: Path
) -> None:
    with good.open("a") as file:
        file.write('{"text": "a secret", "label": 9}\n')

    output = prepare("--train", good, "--dev-share", "0.2", "--max-bad", "0.02")

    rejected = (output / "rejected.jsonl").read_text()
    assert json.loads(rejected) == {
        "file": "good/train.jsonl",
        "line": 101,
        "reason": "unknown label '9'; known are 0, 1, negative, positive",
    }
    assert json.loads((output / "dataset.json").read_text())["dropped"]["good"]["bad"] == 1


def test_more_bad_rows_than_allowed_are_counted_and_some_named(prepare: Any, good: Path) -> None:
    with good.open("a") as file:
        file.write('{"text": "x", "label": 9}\n' * 20)

    with pytest.raises(Refused, match=r"20 of 120 rows are bad, allowed are 2\.00%.*and 15 more"):
        prepare("--train", good, "--dev-share", "0.2", "--max-bad", "0.02")


def test_an_existing_output_is_replaced_only_when_wanted(prepare: Any, good: Path) -> None:
    options = ("--train", good, "--dev-share", "0.2")
    output = prepare(*options)
    before = (output / "dataset.json").read_bytes()

    with pytest.raises(Refused, match="exists: choose another --output, or --replace it"):
        prepare(*options, "--seed", 9)
    assert (output / "dataset.json").read_bytes() == before
    prepare(*options, "--seed", 9, "--replace")
    assert (output / "dataset.json").read_bytes() != before
    assert [path.name for path in output.parent.iterdir()] == ["data"]


def test_a_full_disk_leaves_no_half_data_set(prepare: Any, good: Path, tmp_path: Path) -> None:
    with full_disk(1000), pytest.raises(NotWritten, match="cannot be written"):
        prepare("--train", good, "--dev-share", "0.2")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_leaves_the_data_set_that_was_to_be_replaced(prepare: Any, good: Path) -> None:
    options = ("--train", good, "--dev-share", "0.2")
    output = prepare(*options)
    before = (output / "dataset.json").read_bytes()

    with full_disk(1000), pytest.raises(NotWritten, match="cannot be written"):
        prepare(*options, "--replace")

    assert (output / "dataset.json").read_bytes() == before
    assert [path.name for path in output.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "no data: give a recipe file"),
        (("--hub", "x"), "--hub 'x': give name=value"),
        (("--weight", "other=2"), "--weight: no source other"),
        (("--labels", "one"), "labels: Tuple should have at least 2 items"),
        (("--labels", "one,one"), "labels: give two or more different names"),
        (("--label-map", "5=great"), "label_map 5: no label 'great'"),
        (("--set", "data.sed=1"), "data.sed: unknown key, did you mean seed?"),
        (("--set", "data"), "--set 'data': give key=value"),
        (("--set", "data={"), "is not a YAML value"),
        (("--set", "name.x=1"), "name.x: name has no keys|name: Input should be"),
        (("--dev-share", "2"), "dev_share: Input should be less than 1"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    prepare: Any, good: Path, options: tuple[str, ...], complaint: str
) -> None:
    files = () if not options else ("--train", good)
    with pytest.raises(Refused, match=complaint):
        prepare(*files, *options)


def test_a_hub_data_set_needs_the_extra(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(Refused, match="install weir-training with its extra 'hub'"):
        prepare("--hub", "films=somebody/films", "--dev-share", "0.1")


class FakeSplit(list[dict[str, object]]):
    column_names = ("text", "label")


def test_a_hub_data_set_is_read_like_a_file(prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, config: object, *, split: str, revision: object) -> FakeSplit:
        assert (name, split) == ("somebody/films", "train")
        return FakeSplit(make_rows(100, seed=3))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))

    output = prepare("--hub", "films=somebody/films", "--dev-share", "0.1")

    (entry,) = json.loads((output / "dataset.json").read_text())["inputs"]
    assert (entry["file"], entry["rows"]) == ("somebody/films train", 100)


def test_a_hub_that_cannot_be_reached_is_said(
    prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise ConnectionError("unreachable\nand more")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))

    with pytest.raises(Refused, match=r"somebody/films, split train: not read .*unreachable\)"):
        prepare("--hub", "films=somebody/films")

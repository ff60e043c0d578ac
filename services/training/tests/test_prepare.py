"""``weir-train prepare``: what ends up in a prepared data set, and what its records say."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.domain import Example, InputError
from training.prepared_data import read_prepared

from .conftest import Weir, make_rows, write_rows


def prepared(weir: Weir, tmp_path: Path, *arguments: object) -> Path:
    output = tmp_path / "out"
    result = weir("prepare", "--output", output, *arguments)
    if result.exception is not None:
        raise result.exception
    return output


def described(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "dataset.json").read_text())
    return content


def recipe_file(path: Path, **data: object) -> Path:
    path.write_text(yaml.safe_dump({"data": data}))
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "shop" / "train.jsonl", make_rows(200, seed=1))


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    rows = [{"text": f"exam question {n}", "label": n % 2} for n in range(20)]
    return write_rows(tmp_path / "shop" / "dev.jsonl.gz", rows)


def test_rows_of_a_file_become_a_verified_data_set(
    weir: Weir, tmp_path: Path, shop: Path, exam: Path
) -> None:
    data = read_prepared(prepared(weir, tmp_path, "--train", shop, "--dev", exam))

    assert data.labels == ("negative", "positive")
    assert data.splits["dev"][0] == Example("exam question 0", 0, "shop")
    given = {json.loads(line)["text"] for line in shop.read_text().splitlines()}
    assert {row.text for row in data.splits["train"]} <= given
    inputs = data.description["inputs"]
    assert [entry["file"] for entry in inputs] == ["shop/train.jsonl", "shop/dev.jsonl.gz"]
    assert str(tmp_path) not in json.dumps(data.description)


def test_the_same_inputs_give_the_same_bytes_and_another_seed_another_order(
    weir: Weir, tmp_path: Path, shop: Path
) -> None:
    options = ("--train", shop, "--dev-share", "0.2")
    one = prepared(weir, tmp_path / "a", *options)
    same = prepared(weir, tmp_path / "b", *options)
    other = prepared(weir, tmp_path / "c", *options, "--seed", 8)

    for file in ("train.jsonl.gz", "dev.jsonl.gz", "dataset.json", "data_card.md"):
        assert (one / file).read_bytes() == (same / file).read_bytes(), file
    assert (one / "train.jsonl.gz").read_bytes() != (other / "train.jsonl.gz").read_bytes()


def test_a_held_out_part_has_each_labels_share_and_shares_no_text(
    weir: Weir, tmp_path: Path
) -> None:
    rows = [{"text": f"review number {n}", "label": int(n % 4 == 0)} for n in range(400)]
    source = write_rows(tmp_path / "s" / "train.jsonl", rows)

    splits = read_prepared(prepared(weir, tmp_path, "--train", source, "--dev-share", "0.1")).splits

    assert Counter(row.label for row in splits["dev"]) == {0: 30, 1: 10}
    assert not {r.text for r in splits["dev"]} & {r.text for r in splits["train"]}


def test_more_rows_leave_the_earlier_rows_in_their_split(weir: Weir, tmp_path: Path) -> None:
    rows = [{"text": f"review number {n}", "label": n % 2} for n in range(400)]
    held_out = []
    for count in (380, 400):
        directory = tmp_path / str(count)
        source = write_rows(directory / "shop" / "train.jsonl", rows[:count])
        data = read_prepared(prepared(weir, directory, "--train", source, "--dev-share", "0.2"))
        held_out.append({row.text for row in data.splits["dev"]})
    before, after = held_out

    assert len(before & after) >= 0.8 * len(before)


def test_duplicates_and_contradictions_are_dropped_and_counted(
    weir: Weir, tmp_path: Path, exam: Path
) -> None:
    rows = [
        ("a fine film", 1),
        ("a fine film", 1),
        ("A fine, film!", 1),
        ("so so", 0),
        ("so so", 1),
        ("a bad film", 0),
        (":)", 1),
        (":(", 0),
    ]
    source = write_rows(
        tmp_path / "shop" / "train.jsonl", [{"text": text, "label": label} for text, label in rows]
    )

    output = prepared(weir, tmp_path, "--train", source, "--dev", exam)

    texts = {row.text for row in read_prepared(output).splits["train"]}
    assert texts == {"a fine film", "a bad film", ":)", ":("}
    assert described(output)["dropped"] == {
        "shop": {"duplicate": 1, "near_duplicate": 1, "contradictory": 2}
    }


def test_a_duplicate_in_another_source_is_dropped_too(weir: Weir, tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one" / "t.jsonl", make_rows(40, seed=1))
    two = write_rows(tmp_path / "two" / "t.jsonl", make_rows(40, seed=1))

    output = prepared(weir, tmp_path, "--train", one, "--train", two, "--dev-share", "0.2")

    assert described(output)["dropped"]["two"]["duplicate"] == 40


def test_a_dev_text_in_train_is_an_error_that_names_the_row(
    weir: Weir, tmp_path: Path, shop: Path, exam: Path
) -> None:
    with shop.open("a") as file:
        file.write('{"text": "Exam question 3.", "label": 1}\n')

    with pytest.raises(InputError, match=r"1 train rows have .*shop/train\.jsonl, line 201"):
        prepared(weir, tmp_path, "--train", shop, "--dev", exam)
    assert not (tmp_path / "out").exists()


def test_leaked_rows_are_left_out_and_counted_when_wanted(
    weir: Weir, tmp_path: Path, shop: Path, exam: Path
) -> None:
    with shop.open("a") as file:
        file.write('{"text": "Exam question 3.", "label": 1}\n')

    output = prepared(weir, tmp_path, "--train", shop, "--dev", exam, "--drop-leaked")

    assert described(output)["dropped"]["shop"]["leaked"] == 1
    assert "| shop | 0 | 0 |" in (output / "data_card.md").read_text()
    assert not any("xam" in row.text for row in read_prepared(output).splits["train"])


@pytest.mark.parametrize(("policy", "kept"), [("keep", 21), ("drop", 20)])
def test_repeated_dev_texts_are_kept_only_where_wanted(
    weir: Weir, tmp_path: Path, shop: Path, policy: str, kept: int
) -> None:
    rows = [{"text": f"exam question {n % 20}", "label": n % 2} for n in range(21)]
    exam = write_rows(tmp_path / "shop" / "dev.jsonl", rows)

    output = prepared(
        weir, tmp_path, *("--train", shop, "--dev", exam),
        *("--set", f"data.evaluation_duplicates={policy}"),
    )  # fmt: skip

    assert len(read_prepared(output).splits["dev"]) == kept


def test_weights_sample_below_one_and_repeat_above(weir: Weir, tmp_path: Path) -> None:
    for name in ("few", "many"):
        rows = [{"text": f"{name} review {n}", "label": n % 2} for n in range(100)]
        write_rows(tmp_path / name / "t.jsonl", rows)

    output = prepared(
        weir, tmp_path, *("--train", tmp_path / "few" / "t.jsonl", "--weight", "few=2.5"),
        *("--train", tmp_path / "many" / "t.jsonl", "--weight", "many=0.3", "--dev-share", "0.2"),
    )  # fmt: skip

    train = Counter((row.source, row.label) for row in read_prepared(output).splits["train"])
    assert train == {("few", 0): 100, ("few", 1): 100, ("many", 0): 12, ("many", 1): 12}
    assert described(output)["mixture"]["few"] == {"weight": 2.5, "rows": 80, "mixed": 200}


def test_columns_and_labels_are_mapped_and_null_leaves_out(weir: Weir, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "reviews.csv.gz"
    path.parent.mkdir()
    with gzip.open(path, "wt", newline="") as file:
        table = csv.writer(file)
        table.writerow(["title", "body", "stars"])
        for n in range(40):
            table.writerow([f"Title {n}", f'said "{n}",\nand more', "135"[n % 3]])

    recipe = recipe_file(
        tmp_path / "recipe.yaml",
        sources=[
            {
                "name": "shop", "train": "shop/reviews.csv.gz", "dev_share": 0.25,
                "text": ["title", "body"], "label": "stars",
                "label_map": {"1": "negative", "3": None, "5": "positive"},
            }
        ],
    )  # fmt: skip
    output = prepared(weir, tmp_path, recipe)

    assert described(output)["dropped"] == {"shop": {"unmapped": 13}}
    rows = [row for part in read_prepared(output).splits.values() for row in part]
    assert {(row.text, row.label) for row in rows} >= {('Title 0 said "0", and more', 0)}


def test_cleaning_is_counted_step_by_step(weir: Weir, tmp_path: Path, shop: Path) -> None:
    rows = [
        {"text": "good<br />film, i <3 it", "label": 1},
        {"text": "bad &amp; dull", "label": 0},
        {"text": "cafe\u0301 visit", "label": 1},
        {"text": "bell\x07 and\u200b zero", "label": 0},
    ]
    exam = write_rows(tmp_path / "exam" / "dev.jsonl", rows)

    output = prepared(weir, tmp_path, "--train", shop, "--dev", exam)

    texts = [row.text for row in read_prepared(output).splits["dev"]]
    assert texts == ["good film, i <3 it", "bad & dull", "café visit", "bell and zero"]
    assert described(output)["cleaned"]["exam"] == {
        "markup": 1, "entities": 1, "unicode": 1, "control_characters": 1, "white_space": 1,
    }  # fmt: skip


def test_a_data_set_that_changed_later_is_refused(
    weir: Weir, tmp_path: Path, shop: Path, exam: Path
) -> None:
    output = prepared(weir, tmp_path, "--train", shop, "--dev", exam)
    (output / "dev.jsonl.gz").write_bytes(gzip.compress(b""))

    with pytest.raises(InputError, match="changed since it was prepared"):
        read_prepared(output)


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_directory_that_is_no_data_set_is_refused(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "dataset.json").write_text(content)

    with pytest.raises(InputError, match="prepared data set"):
        read_prepared(tmp_path)

"""What the log answers over REST after predictions were made: filters, charts, files."""

import csv
import hashlib
import io
import json
from uuid import uuid4

import httpx
import pytest
from arro3.io import read_parquet

from testkit.platform import wait_until


@pytest.fixture(scope="module")
def text() -> str:
    return f"A film that nobody else has seen, number {uuid4().hex}."


@pytest.fixture
def prediction_id(api: httpx.Client, text: str) -> str:
    """A prediction that has feedback, both in the log."""
    made: str = api.post("/predict", json={"text": text}).raise_for_status().json()["prediction_id"]
    path = f"/v1/predictions/{made}"
    wait_until(lambda: api.get(path).status_code == 200, path)
    api.post(f"{path}/feedback", json={"correct_label": "negative"}).raise_for_status()
    wait_until(lambda: api.get(path).json()["feedback"] is not None, "feedback")
    return made


def test_every_prediction_of_a_text_is_found_by_its_hash(
    api: httpx.Client, prediction_id: str, text: str
) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    page = api.get("/v1/predictions", params={"input_sha256": digest, "shadow": "false"}).json()
    assert prediction_id in [each["prediction_id"] for each in page["predictions"]]
    assert {each["input_sha256"] for each in page["predictions"]} == {digest}


def test_chart_counts_it_at_once(api: httpx.Client, prediction_id: str) -> None:
    made_at = api.get(f"/v1/predictions/{prediction_id}").json()["predicted_at"]
    series = api.get("/v1/stats/series", params={"bucket": "hour", "from": made_at}).json()
    assert series["bucket"] == "hour"
    assert sum(bucket["predictions"] for bucket in series["buckets"]) >= 1
    assert sum(bucket["labelled"] for bucket in series["buckets"]) >= 1


def test_files_hold_it_with_its_feedback(api: httpx.Client, prediction_id: str, text: str) -> None:
    def file(name: str) -> bytes:
        digest = hashlib.sha256(text.encode()).hexdigest()
        query = {"format": name, "input_sha256": digest}
        return api.get("/v1/predictions/export", params=query).raise_for_status().content

    tables = [
        list(csv.DictReader(io.StringIO(file("csv").decode(), newline=""))),
        [json.loads(line) for line in file("jsonl").decode().splitlines()],
        [
            dict(row)
            for row in read_parquet(io.BytesIO(file("parquet")))
            .read_all()
            .to_struct_array()
            .to_pylist()
        ],
    ]
    for rows in tables:
        (row,) = (row for row in rows if row["prediction_id"] == prediction_id)
        assert row["correct_label"] == "negative"

"""Rollups counted from scratch, and events to count."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from prediction_log.histograms import (
    CONFIDENCE_BINS,
    LATENCY_BINS,
    confidence_bin,
    latency_bin,
)
from prediction_log.partitions import first_id_at
from servicekit.identifiers import new_id

LABELS = ["positive", "negative"]
BEGIN = datetime(2026, 11, 20, 23, 59, 59, 999_000, tzinfo=UTC)


def bucket_of(moment: datetime, minutes: int) -> datetime:
    start = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return start if minutes == 60 else start.replace(hour=0)


async def from_scratch(log: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What the rollups must hold, counted in Python."""
    verdicts: dict[Any, Any] = {}
    for row in await log.rows("SELECT * FROM feedback ORDER BY given_at, id"):
        if row["correct_label"] is not None:
            verdicts[row["tenant"], row["prediction_id"]] = row["correct_label"]
    totals: dict[Any, Any] = defaultdict(
        lambda: [0, 0.0, [0] * CONFIDENCE_BINS, [0] * LATENCY_BINS, 0, 0]
    )
    labels: dict[Any, Any] = defaultdict(lambda: [0, 0, 0])
    for row in await log.rows("SELECT * FROM prediction_logs"):
        verdict = verdicts.get((row["tenant"], row["id"]))
        labelled, correct = int(verdict is not None), int(verdict == row["label"])
        for minutes in (60, 1440):
            start = bucket_of(row["predicted_at"], minutes)
            key = (row["tenant"], minutes, start, row["model"], row["model_version"], row["shadow"])
            total, of_label = totals[key], labels[(*key, row["label"])]
            total[0] += 1
            total[1] += row["confidence"]
            total[2][confidence_bin(row["confidence"])] += 1
            total[3][latency_bin(row["inference_ms"])] += 1
            total[4] += labelled
            total[5] += correct
            of_label[0] += 1
            of_label[1] += labelled
            of_label[2] += correct
    return dict(totals), dict(labels)


async def assert_exact(log: Any) -> None:
    """Rollups and a count from scratch are the same."""
    totals, labels = await from_scratch(log)
    found = {}
    for row in await log.rows("SELECT * FROM prediction_rollups"):
        values = list(row.values())
        found[tuple(values[:6])] = values[6:]
    assert found.keys() == totals.keys()
    for key, expected in totals.items():
        assert found[key][1] == pytest.approx(expected[1], rel=1e-9)
        assert [found[key][0], *found[key][2:]] == [expected[0], *expected[2:]]
    found = {}
    for row in await log.rows("SELECT * FROM prediction_rollup_labels"):
        values = list(row.values())
        found[tuple(values[:7])] = values[7:]
    assert found == labels


class Story:
    """Predictions and feedback on them, in many keys, as events."""

    def __init__(self, facts: Any, rng: random.Random, predictions: int = 12) -> None:
        self.predictions: list[Any] = []
        self.feedback: list[Any] = []
        self._facts = facts
        self._rng = rng
        for _ in range(predictions):
            moment = BEGIN + timedelta(milliseconds=rng.choice([0, 1, 2, 3_600_001]))
            self.predictions.append(
                facts.prediction(
                    id=UUID(int=first_id_at(moment).int | (new_id().int & (1 << 80) - 1)),
                    tenant=rng.choice(["t1", "t2"]),
                    model_version=rng.choice(["1", "2"]),
                    shadow=rng.random() < 0.2,
                    label=rng.choice(LABELS),
                    confidence=rng.choice([0.29, 0.5, 1.0, rng.random()]),
                    probabilities=dict.fromkeys(LABELS, 0.5),
                    inference_ms=rng.choice([0.0, 0.05, 60_000.0, 3.5]),
                )
            )
            for _ in range(rng.randrange(4)):
                self.feedback.append(self._opinion(self.predictions[-1]))

    def _opinion(self, about: Any) -> Any:
        fact = self._facts.feedback(about, correct_label=self._rng.choice([*LABELS, "", "other"]))
        fact.tenant = self._rng.choice([about.tenant, about.tenant, "t1"])
        fact.given_at.FromDatetime(BEGIN + timedelta(seconds=self._rng.randrange(3)))
        return fact


async def connect(log: Any) -> Any:
    return await asyncpg.connect(dsn=log.url.replace("+asyncpg", ""))


async def insert(connection: Any, fact: Any) -> None:
    """What the service's version before this one does, or a person."""
    if hasattr(fact, "feedback_id"):
        await connection.execute(
            "INSERT INTO feedback (id, given_at, prediction_id, tenant, client_id, correct_label) "
            "VALUES ($1, now(), $2, $3, 'c', $4)",
            *(fact.feedback_id, fact.prediction_id, fact.tenant, fact.correct_label),
        )
        return
    await connection.execute(
        "INSERT INTO prediction_logs (id, predicted_at, tenant, client_id, request_id, model, "
        "model_version, input_sha256, input_characters, input_tokens, input_unknown_tokens, "
        "input_special_tokens, label, confidence, probabilities, inference_ms) "
        "VALUES ($1, $2, $3, 'c', 'r', 'm', '1', $4, 1, 1, 0, 0, $5, 0.5, '{}', 1.0)",
        *(fact.prediction_id, fact.predicted_at.ToDatetime(UTC), fact.tenant),
        *(bytes(32), fact.label),
    )

"""Compares what clients wrote down with what the log holds."""

import time
from collections import Counter
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from chaos.clients import Ledger
from chaos.inside import events_redis, query, waiting_entries
from chaos.monkey import Kill
from chaos.rollups import wrong_rollups
from weir_local.platform_parts import Endpoints

_SHOWN = 5
_REACH = 1.0
"""Seconds around a gateway's absence in which a connection may still break because of it."""


@dataclass(slots=True)
class Books:
    """What was found; the platform kept its word when there is no complaint."""

    rows: int = 0
    unasked: int = 0
    """Rows whose answer never reached a client."""
    complaints: list[str] = field(default_factory=list)

    def complain(self, what: str, entries: Any) -> None:
        """Notes something that must not be, if there is any."""
        entries = list(entries)
        if entries:
            shown = "".join(f"\n    {entry}" for entry in entries[:_SHOWN])
            more = f"\n    … {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
            self.complaints.append(f"{len(entries)} {what}:{shown}{more}")


def wait_until_drained(endpoints: Endpoints, within: float) -> float:
    """Seconds until the log has written everything that is on the streams.

    Raises:
        TimeoutError: it has not in time, with what is left.
    """
    began = time.monotonic()
    waiting: Mapping[str, int] = {"unknown": 0}
    with events_redis(endpoints) as redis:
        while waiting:
            if time.monotonic() - began > within:
                raise TimeoutError(f"not drained within {within:.0f} s; left: {waiting}")
            time.sleep(0.05)
            waiting = waiting_entries(redis)
    return time.monotonic() - began


def wait_until_written(endpoints: Endpoints, predictions: Set[str], within: float) -> float:
    """Seconds until these predictions are rows; PostgreSQL may be away at first.

    Raises:
        TimeoutError: some are missing, with their number.
    """
    began = time.monotonic()
    missing = predictions
    while missing:
        if time.monotonic() - began > within:
            raise TimeoutError(f"{len(missing)} predictions are not written after {within:.0f} s")
        time.sleep(0.1)
        with suppress(OSError, asyncpg.PostgresError):
            rows = query(endpoints, "SELECT id::text FROM prediction_logs")
            missing = predictions - {row[0] for row in rows}
    return time.monotonic() - began


def compare(endpoints: Endpoints, ledger: Ledger) -> Books:
    """The ledger against the table, row by row, from the ledger's first prediction on."""
    books = Books()
    first = min(ledger.acknowledged)
    found = query(endpoints, "SELECT id::text, encode(input_sha256, 'hex') FROM prediction_logs")
    rows = [row for row in found if row[0] >= first]
    books.rows = len(rows)
    digests = dict(map(tuple, rows))
    acknowledged = ledger.acknowledged
    books.unasked = len(digests.keys() - acknowledged.keys())
    books.complain("acknowledged predictions are lost", acknowledged.keys() - digests.keys())
    books.complain(
        "predictions have another text's hash",
        (
            f"{prediction}: {digests[prediction]} instead of {digest}"
            for prediction, digest in acknowledged.items()
            if digests.get(prediction, digest) != digest
        ),
    )
    books.complain("ids are there twice", _repeated(row[0] for row in rows))
    books.complain("texts are there twice", _repeated(row[1] for row in rows))
    books.complain("rows are about a text nobody sent", set(digests.values()) - ledger.sent)
    books.complain("ids were given out twice", ledger.repeated_ids)
    opinions = query(endpoints, "SELECT id::text, prediction_id::text FROM feedback")
    books.complain(
        "acknowledged feedback is lost", ledger.feedback.items() - dict(opinions).items()
    )
    books.complain("statistics are not what the rows say", wrong_rollups(endpoints))
    dead = query(endpoints, "SELECT stream, entry_id, reason FROM dead_letters")
    books.complain("dead letters", (dict(letter) for letter in dead))
    return books


def judge_refusals(books: Books, ledger: Ledger, kills: list[Kill]) -> None:
    """Complains of refusals that no client should see."""
    books.complain(
        "requests failed as none should",
        (f"{refusal.reason}: {refusal.fault}" for refusal in ledger.refusals if refusal.fault),
    )
    absences = [
        (kill.at - _REACH, kill.ready_at + _REACH) for kill in kills if kill.victim == "gateway"
    ]
    books.complain(
        "connections broke while the gateway was up",
        (
            f"{refusal.reason}, {refusal.ended - refusal.began:.3f} s after it began"
            for refusal in ledger.refusals
            if refusal.broken
            and not refusal.fault
            and not any(refusal.began <= end and refusal.ended >= start for start, end in absences)
        ),
    )


def answered_again(ledger: Ledger, kill: Kill) -> float | None:
    """Seconds from the kill until a request that began after it was answered."""
    with suppress(ValueError):
        return min(ended for began, ended in ledger.answers if began >= kill.at) - kill.at
    return None


def _repeated(values: Any) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]

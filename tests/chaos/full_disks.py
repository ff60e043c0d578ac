"""A disk fills up under traffic: under PostgreSQL nobody notices, under the events Redis refusals
say so. Nothing acknowledged is lost, and with the space everything comes back by itself.

    PYTHONPATH=tests unshare --mount .venv/bin/python -m chaos.full_disks

See `small_disk.own_mounts` for those who are not root. A traceback says what does not hold.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import httpx

from chaos.inside import query
from chaos.ledger import MODELS
from chaos.small_disk import SmallDisk, small_disk
from testkit.platform import wait_until
from testkit.supervised import SupervisedPlatform, supervised_platform
from weir_local.embedded_postgres import postgres_process

BACK_WITHIN = 90.0


def main() -> None:
    """Fills the one, then the other."""
    with tempfile.TemporaryDirectory(prefix="weir-disks-") as directory:
        place = Path(directory)
        with (
            small_disk(place / "pg", 160) as postgres,
            small_disk(place / "redis", 64) as redis,
            on_disks(place, postgres.path, redis.path) as platform,
            signed_in(platform) as api,
        ):
            fill_under_postgres(platform, postgres, api)
            fill_under_redis(platform, redis, api)


@contextmanager
def on_disks(place: Path, postgres: Path, redis: Path) -> Iterator[SupervisedPlatform]:
    """A platform whose stores each have a disk of their own."""
    home = place / "home"
    home.mkdir()
    # Makes the cluster there; the platform then takes it for its own.
    postgres_process(postgres / "data", postgres / "run", place / "unused.log")
    (home / "postgres").symlink_to(postgres / "data")
    (redis / "data").mkdir()
    (home / "redis-events").symlink_to(redis / "data")
    with supervised_platform(home, MODELS) as platform:
        yield platform


def signed_in(platform: SupervisedPlatform) -> httpx.Client:
    """The demo client's HTTP client."""
    answer = httpx.post(
        f"{platform.address}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=platform.credentials(),
    )
    bearer = f"Bearer {answer.json()['access_token']}"
    return httpx.Client(base_url=platform.address, headers={"authorization": bearer}, timeout=20.0)


@contextmanager
def full(disk: SmallDisk) -> Iterator[None]:
    """No space while it lasts."""
    disk.fill()
    try:
        yield
    finally:
        disk.free()


def predict(api: httpx.Client) -> httpx.Response:
    return api.post("/predict/batch", json={"texts": ["There is always room for one more."] * 32})


def ids_of(answer: httpx.Response) -> set[str]:
    return {prediction["prediction_id"] for prediction in answer.json()["predictions"]}


def wait_until_logged(platform: SupervisedPlatform, ids: set[str]) -> None:
    def logged() -> bool:
        rows = query(platform.endpoints, "SELECT id::text FROM prediction_logs")
        return ids <= {row[0] for row in rows}

    wait_until(logged, f"{len(ids)} rows", BACK_WITHIN)


def events_of(platform: SupervisedPlatform, service: str, event: str) -> list[dict[str, str]]:
    """The log events of that name, of the predictions' stream."""
    lines = [line for line in platform.log_of(service).splitlines() if line.startswith("{")]
    found = [entry for line in lines if (entry := json.loads(line))["event"] == event]
    return [entry for entry in found if entry.get("stream") == "weir:predictions:0"]


def fill_under_postgres(platform: SupervisedPlatform, disk: SmallDisk, api: httpx.Client) -> None:
    """Predictions go on; the log says once that it cannot write, and drains when it can."""
    acknowledged = ids_of(predict(api))
    wait_until_logged(platform, acknowledged)
    earlier = len(events_of(platform, "prediction_log", "consume_failed"))

    with full(disk):

        def the_log_says_so() -> bool:
            answer = predict(api)
            assert answer.status_code == 200, answer.text
            acknowledged.update(ids_of(answer))
            return len(events_of(platform, "prediction_log", "consume_failed")) > earlier

        wait_until(the_log_says_so, "a failed batch", BACK_WITHIN)
        for _ in range(10):
            # Even its own log cannot go on then, and PostgreSQL goes down over it.
            with suppress(OSError, asyncpg.PostgresError):
                query(platform.endpoints, "SELECT pg_switch_wal()")
            answer = predict(api)
            assert answer.status_code == 200, answer.text
            acknowledged.update(ids_of(answer))

    platform.wait_until_healthy(BACK_WITHIN)
    wait_until_logged(platform, acknowledged)
    wait_until(
        lambda: len(events_of(platform, "prediction_log", "consume_recovered")) > 0, "its end"
    )
    assert "PANIC" in platform.log_of("postgres")
    failures = events_of(platform, "prediction_log", "consume_failed")[earlier:]
    assert {failure["error"] for failure in failures} == {"LogStoreUnavailable"}
    # Told when it began, not at each try; once more where PostgreSQL went down over it and was
    # back before the space was.
    assert len(failures) <= 3
    assert query(platform.endpoints, "SELECT reason FROM dead_letters") == []


def fill_under_redis(platform: SupervisedPlatform, disk: SmallDisk, api: httpx.Client) -> None:
    """Predictions are refused with a reason, and taken again when there is space."""
    acknowledged = ids_of(predict(api))
    refused = None
    with full(disk):
        give_up = time.monotonic() + BACK_WITHIN
        while refused is None or time.monotonic() < refused + 3:
            assert time.monotonic() < give_up, "the disk never filled"
            answer = predict(api)
            if answer.status_code == 200:
                acknowledged |= ids_of(answer)
                continue
            assert (answer.status_code, answer.json()["code"]) == (503, "EVENT_STREAM_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
            refused = refused or time.monotonic()

    wait_until(lambda: predict(api).status_code == 200, "predictions again", BACK_WITHIN)
    platform.wait_until_healthy(BACK_WITHIN)
    wait_until_logged(platform, acknowledged)


if __name__ == "__main__":
    main()

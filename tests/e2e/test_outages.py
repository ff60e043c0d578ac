"""Parts of the platform go away under traffic: nothing acknowledged is lost, all comes back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.platform import Platform, running_platform, wait_until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """A platform of this module's own, to break; shared by its tests one after the other."""
    with running_platform(tmp_path_factory.mktemp("breakable"), models) as running:
        yield running


class Traffic:
    """Predictions one after the other until told to stop; remembers what came back."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.ids: list[str] = []
        self.failures: list[int] = []

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._done.is_set():
            answer = self._api.post("/predict", json={"text": f"Take {len(self.ids)} is fine."})
            if answer.status_code == 200:
                self.ids.append(answer.json()["prediction_id"])
            else:
                self.failures.append(answer.status_code)

    def pass_by(self, count: int) -> None:
        """Waits until so many more predictions were answered."""
        goal = len(self.ids) + count
        wait_until(lambda: len(self.ids) >= goal, f"{count} predictions")


def logged_ids(api: httpx.Client) -> set[str]:
    ids: set[str] = set()
    cursor = None
    while True:
        parameters = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/predictions", params=parameters).json()
        ids |= {row["prediction_id"] for row in page["predictions"]}
        cursor = page["next_cursor"]
        if not cursor:
            return ids


def test_postgres_stopped_and_started_again_loses_nothing(
    platform: Platform, api: httpx.Client
) -> None:
    with Traffic(api) as traffic:
        traffic.pass_by(20)
        platform.process("postgres").stop()
        traffic.pass_by(100)
        assert api.get("/v1/predictions").status_code == 503
        platform.start("postgres")
        traffic.pass_by(20)
    assert traffic.failures == []
    platform.wait_until_health("healthy")
    wait_until(lambda: logged_ids(api) >= set(traffic.ids), "all rows", within=15.0)


def test_log_service_killed_loses_nothing(platform: Platform, api: httpx.Client) -> None:
    with Traffic(api) as traffic:
        traffic.pass_by(20)
        platform.process("prediction_log").kill()
        traffic.pass_by(50)
        platform.start("prediction_log")
    assert traffic.failures == []
    platform.wait_until_health("healthy")
    wait_until(lambda: logged_ids(api) >= set(traffic.ids), "all rows", within=15.0)


def test_inference_away_is_503_with_retry_after_and_comes_back(
    platform: Platform, api: httpx.Client
) -> None:
    platform.process("inference").kill()
    answer = api.post("/predict", json={"text": "Anybody there?"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"].startswith("application/problem+json")
    platform.wait_until_health("unhealthy")
    assert httpx.get(f"{platform.endpoints.http}/health").status_code == 503
    platform.start("inference")
    platform.wait_until_health("healthy")
    assert api.post("/predict", json={"text": "Back again."}).status_code == 200


def test_event_stream_away_blocks_predictions_and_comes_back(
    platform: Platform, api: httpx.Client
) -> None:
    before = api.post("/predict", json={"text": "Before."}).json()["prediction_id"]
    platform.process("events-redis").kill()
    answer = api.post("/predict", json={"text": "Nothing may be lost."})
    assert answer.status_code == 503
    assert answer.json()["code"] == "EVENT_STREAM_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1
    platform.start("events-redis")
    platform.wait_until_health("healthy")
    after = api.post("/predict", json={"text": "After."}).json()["prediction_id"]
    wait_until(lambda: logged_ids(api) >= {before, after}, "both rows", within=15.0)


def test_quota_store_away_does_not_stop_predictions(platform: Platform, api: httpx.Client) -> None:
    platform.process("quota-redis").kill()
    started = time.monotonic()
    answers = [api.post("/predict", json={"text": "Counted here."}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - started < 10
    platform.wait_until_health("degraded")
    platform.start("quota-redis")
    platform.wait_until_health("healthy")


def test_gateway_killed_comes_back_with_the_same_keys(
    platform: Platform, api: httpx.Client
) -> None:
    platform.process("gateway").kill()
    platform.start("gateway")
    platform.wait_until_health("healthy")
    assert api.post("/predict", json={"text": "The old token still holds."}).status_code == 200

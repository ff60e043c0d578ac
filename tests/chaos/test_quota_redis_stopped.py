"""The quota Redis frozen under load: predictions go on, within the local share, and nobody waits.

Five seconds here; `make chaos` takes a minute, on a machine that is quiet, and there no request may
have waited 50 ms for its quota.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from testkit.platform import Platform, wait_until

SECONDS = float(os.environ.get("WEIR_TEST_QUOTA_STOPPED_SECONDS", "5"))
STRICT = SECONDS >= 60
THREADS = 4
LIMIT = 12


def metric(platform: Platform, sample: str) -> float:
    """The value of a sample of the gateway's, 0 where there is none yet."""
    text = httpx.get(f"{platform.endpoints.http}/metrics", timeout=30).text
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def frugal_client(platform: Platform) -> httpx.Client:
    """A client of LIMIT items an hour, made with the gateway's own command."""
    identity = platform.home.identity
    made = subprocess.run(
        [
            *(sys.executable, "-m", "gateway", "create-client"),
            *("--clients-file", str(identity / "clients.yaml")),
            *("--pepper-file", str(identity / "pepper")),
            *("--client-id", "stopped", "--tenant", "stopped", "--scope", "models:predict"),
            *("--limit", str(LIMIT), "--window", "3600"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    client = json.loads(made.stdout)
    platform.process("gateway").stop()
    platform.start("gateway")
    platform.wait_until_health("healthy")
    token = httpx.post(
        f"{platform.endpoints.http}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client["client_id"], client["client_secret"]),
        timeout=30,
    ).json()["access_token"]
    return platform.client(token)


def predict_until(client: httpx.Client, end: float) -> list[int]:
    """The statuses of one request after the other."""
    statuses = []
    while time.monotonic() < end:
        statuses.append(client.post("/predict", json={"text": "A film."}).status_code)
    return statuses


@pytest.mark.timeout(240)
def test_predictions_go_on_within_the_local_share_and_without_waiting(platform: Platform) -> None:
    with platform.client() as demo, frugal_client(platform) as frugal:
        assert demo.post("/predict", json={"text": "A film."}).status_code == 200
        waited = metric(platform, "weir_quota_seconds_count")
        quick = metric(platform, 'weir_quota_seconds_bucket{le="0.05"}')
        redis = platform.process("quota-redis")
        redis.send(signal.SIGSTOP)
        try:
            end = time.monotonic() + SECONDS
            with ThreadPoolExecutor(THREADS + 1) as pool:
                going = [pool.submit(predict_until, demo, end) for _ in range(THREADS)]
                bounded = pool.submit(predict_until, frugal, end)
            assert metric(platform, "weir_quota_local") == 1
            waited = metric(platform, "weir_quota_seconds_count") - waited
            quick = metric(platform, 'weir_quota_seconds_bucket{le="0.05"}') - quick
        finally:
            redis.send(signal.SIGCONT)
        for statuses in going:
            assert set(statuses.result()) == {200}
        assert bounded.result().count(200) == LIMIT
        assert set(bounded.result()) == {200, 429}
        # Three failures, and whoever waited with them; afterwards nobody waits for Redis at all.
        assert waited <= 3 * 2 * (THREADS + 1)
        if STRICT:
            assert quick == waited
        wait_until(lambda: metric(platform, "weir_quota_local") == 0, "quotas in Redis again")
        # What was admitted meanwhile is counted there now.
        assert frugal.post("/predict", json={"text": "A film."}).status_code == 429

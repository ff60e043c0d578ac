"""Inference killed with requests under way: they alone fail, in a way that tells to try again.

How long it takes to come back is timed by `make bench-peers`, on a machine that is quiet.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx
import pytest

from chaos.books import wait_until_written
from chaos.clients import Client, Ledger
from testkit.platform import Platform, wait_until

CLIENTS = 12
_SEEN = 40
"""Answers before the kill, and after the return."""
_PATIENCE = 60.0
_WRITTEN_WITHIN = 60.0


@dataclass(frozen=True)
class Kill:
    """When it happened, on the monotonic clock."""

    began: float
    back: float
    """From here on the gateway called the platform healthy."""


async def killed_under_load(platform: Platform, ledger: Ledger) -> Kill:
    """Kills inference between answers, starts it again and goes on until many more came."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            client = Client(
                f"client {number}",
                platform.endpoints.http,
                platform.client_credentials(),
                ledger,
                seed=9,
                pause=0.0,
                opinions=0.0,
            )
            group.create_task(client.run(stop))
        try:
            await _until_answered(ledger, _SEEN)
            began = time.monotonic()
            # A process ends with the thread that started it: not from another one.
            platform.process("inference").kill()
            platform.process("inference").start()
            await asyncio.to_thread(platform.wait_until_health, "healthy")
            back = time.monotonic()
            await _until_answered(ledger, len(ledger.answers) + _SEEN)
        finally:
            stop.set()
    return Kill(began, back)


async def _until_answered(ledger: Ledger, number: int) -> None:
    await asyncio.to_thread(
        wait_until, lambda: len(ledger.answers) >= number, f"{number} answers", _PATIENCE
    )


@pytest.mark.timeout(240)
async def test_only_what_was_under_way_fails_and_may_be_tried_again(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("killed") / "ledger.txt")
    kill = await killed_under_load(platform, ledger)

    faults = {(refusal.reason, refusal.fault) for refusal in ledger.refusals if refusal.fault}
    assert faults == set()
    spared = [
        refusal
        for refusal in ledger.refusals
        if refusal.ended < kill.began or refusal.began > kill.back
    ]
    assert spared == []
    assert any(began > kill.back for began, _ in ledger.answers)

    await asyncio.to_thread(
        wait_until_written, platform.endpoints, set(ledger.acknowledged), _WRITTEN_WITHIN
    )
    assert ledger.repeated_ids == []


async def test_a_gateway_without_inference_keeps_no_client_waiting(platform: Platform) -> None:
    platform.process("inference").kill()
    try:
        async with httpx.AsyncClient(
            base_url=platform.endpoints.http,
            headers={"authorization": f"Bearer {platform.token()}"},
            timeout=30.0,
        ) as client:
            answers = await asyncio.gather(
                *(client.post("/predict", json={"text": f"Take {n}."}) for n in range(CLIENTS))
            )
        assert {answer.status_code for answer in answers} == {503}
        assert all("retry-after" in answer.headers for answer in answers)
    finally:
        platform.start("inference")
        platform.wait_until_health("healthy")

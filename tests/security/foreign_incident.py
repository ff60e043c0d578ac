"""An incident of one tenant, stored as drift stores it: a real one takes windows of drift."""

import asyncio
from datetime import UTC, datetime

from redis.asyncio import Redis

from drift.domain import Estimate, Population
from drift.incident_advice import Severity
from drift.incidents import Direction, DriftedSignal, Incident
from drift.recommendation import Action
from drift.state_store import StateStore
from drift.state_transaction import StateConflict
from servicekit.identifiers import new_id
from testkit.platform import Platform, wait_until


def put_incident(platform: Platform, tenant: str) -> str:
    """Stores one of a model version that was predicted with; returns its id."""
    identifier = ""

    async def put() -> bool:
        nonlocal identifier
        async with Redis.from_url(platform.endpoints.events_redis) as redis:
            store = StateStore(redis)
            versions = await store.versions()
            if not versions:
                return False
            of = Population(next(iter(versions)), tenant)
            try:
                async with store.transaction() as transaction:
                    book = (await transaction.incidents(of)).with_incident(_made(tenant))
                    await transaction.store_incidents(of, book, ())
            except StateConflict:
                # Drift stored at the same moment.
                return False
            identifier = str(book.incidents[-1].id)
        return True

    wait_until(lambda: asyncio.run(put()), "drift to know a model version")
    return identifier


def _made(tenant: str) -> Incident:
    now = datetime.now(UTC)
    return Incident(
        id=new_id(),
        revision=1,
        tenant=tenant,
        group="text",
        signal="input_tokens",
        direction=Direction.UP,
        opened_at=now,
        changed_at=now,
        began_at=now,
        last_drift_at=now,
        signals=(DriftedSignal("input_tokens", Direction.UP, Estimate(0.4, 0.3, 0.5), 0.001),),
        severity=Severity.WARNING,
        action=Action.INVESTIGATE,
        reasons=("made for a test",),
    )

"""Who may ask for an erasure, how, and that it is on the audit trail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from prediction_log.event_decoding import decode_audit
from prediction_log.privacy_keys import PrivacyKeys
from servicekit.errors import InvalidInput, NotFound, PermissionDenied, Unavailable
from testkit.issuer import FakeIssuer
from weir.predictions.v1.privacy_pb2 import EraseSubjectRequest, GetErasureRequest

from .conftest import AUDIT_STREAM
from .erasing import SUBJECT, TEXT, erase
from .sealing import ENCRYPTED, seal

Call = Callable[..., Any]


async def test_erasure_is_on_the_audit_trail_or_does_not_happen(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    call: Call,
    eraser: str,
    written: Call,
    redis: Redis,
) -> None:
    fact = seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    await redis.set(AUDIT_STREAM, "no stream")
    with pytest.raises(Unavailable) as caught:
        await erase(call, eraser)
    assert caught.value.code == "EVENT_STREAM_UNAVAILABLE"
    assert await log.count("subject_keys") == 1
    assert await log.count("erasures") == 0
    await redis.delete(AUDIT_STREAM)
    erasure = await erase(call, eraser)
    await written(AUDIT_STREAM, decode_audit)
    (event,) = await log.rows("SELECT action, outcome, client_id, tenant, target FROM audit_log")
    assert event == {
        "action": "subject.erase",
        "outcome": "allowed",
        "client_id": "officer",
        "tenant": "tenant-1",
        "target": erasure.erasure_id,
    }


async def test_erasures_of_other_tenants_do_not_exist(
    call: Call, eraser: str, issuer: FakeIssuer
) -> None:
    erasure = await erase(call, eraser)
    stranger = issuer.token("privacy:erase", tenant="tenant-2")
    for token, identifier in ((stranger, erasure.erasure_id), (eraser, str(uuid4()))):
        with pytest.raises(NotFound) as caught:
            await call(GetErasureRequest(erasure_id=identifier), token=token)
        assert caught.value.code == "ERASURE_NOT_FOUND"
    with pytest.raises(PermissionDenied):
        await call(EraseSubjectRequest(tenant="tenant-1", subject=SUBJECT), token=stranger)
    for request in (EraseSubjectRequest(subject=SUBJECT), GetErasureRequest()):
        with pytest.raises(PermissionDenied):
            await call(request, token=issuer.token("predictions:read"))


async def test_bad_requests_are_refused_by_field(
    call: Call, eraser: str, serve: Call, log: Any
) -> None:
    for request, field in (
        (EraseSubjectRequest(), "subject"),
        (EraseSubjectRequest(subject="s" * 257), "subject"),
        (EraseSubjectRequest(subject="a\0b"), "subject"),
        (GetErasureRequest(erasure_id="none"), "erasure_id"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await call(request, token=eraser)
        assert caught.value.violations[0].field == field
    without_keys = await serve(log.database, PrivacyKeys())
    with pytest.raises(Unavailable) as unavailable:
        await without_keys(EraseSubjectRequest(subject=SUBJECT), token=eraser)
    assert unavailable.value.code == "PRIVACY_NOT_CONFIGURED"

"""Who reads a text, and what that leaves on the audit trail; finding what is about a person."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from prediction_log.event_decoding import decode_audit
from prediction_log.privacy_keys import PrivacyKeys
from servicekit.errors import Internal, InvalidInput, NotFound, PermissionDenied, Unavailable
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb

from .conftest import AUDIT_STREAM
from .erasing import SUBJECT, TEXT
from .sealing import ENCRYPTED, NOTHING, PLAIN, seal

Call = Callable[..., Any]


@pytest.fixture
def reader(issuer: FakeIssuer) -> str:
    return issuer.token("predictions:read", "inputs:read", client_id="reader")


@pytest.mark.parametrize("keeping", [ENCRYPTED, PLAIN])
async def test_text_is_read_by_those_who_may_and_the_reading_is_on_the_trail(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    call: Call,
    reader: str,
    written: Call,
    keeping: Any,
) -> None:
    fact = seal(key_directory, facts.prediction(), keeping, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    request = pb.GetPredictionRequest(prediction_id=fact.prediction_id, include_input=True)
    with pytest.raises(PermissionDenied) as refused:
        await call(request)
    assert refused.value.code == "SCOPE_MISSING"
    found = (await call(request, token=reader)).prediction
    assert found.input_text == TEXT
    assert found.keeping == keeping
    await written(AUDIT_STREAM, decode_audit)
    (event,) = await log.rows("SELECT action, outcome, client_id, tenant FROM audit_log")
    assert event == {
        "action": "input.read",
        "outcome": "allowed",
        "client_id": "reader",
        "tenant": "tenant-1",
    }
    without = await call(pb.GetPredictionRequest(prediction_id=fact.prediction_id))
    assert not without.prediction.HasField("input_text")
    listed = await call(pb.ListPredictionsRequest(), token=reader)
    assert TEXT not in str(listed)


async def test_delegate_reads_for_a_client_that_is_named_on_the_trail(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer, redis: Redis
) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    request = pb.GetPredictionRequest(
        tenant="tenant-1", prediction_id=fact.prediction_id, include_input=True, client_id="end"
    )
    scopes = ("predictions:read", "inputs:read")
    with pytest.raises(PermissionDenied):
        await call(request, token=issuer.token(*scopes))
    edge = issuer.token(*scopes, "delegate", client_id="weir-gateway", tenant="weir")
    answer = await call(request, token=edge)
    assert not answer.prediction.HasField("input_text")
    ((_, fields),) = await redis.xrange(AUDIT_STREAM)
    assert b"end" in fields[b"data"]
    assert fact.prediction_id.encode() in fields[b"data"]


async def test_text_of_another_tenant_is_not_found(
    log: Any, facts: Any, keys: Any, key_directory: Path, call: Call, reader: str, redis: Redis
) -> None:
    fact = seal(key_directory, facts.prediction(tenant="t-2"), PLAIN, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    with pytest.raises(NotFound):
        await call(
            pb.GetPredictionRequest(prediction_id=fact.prediction_id, include_input=True),
            token=reader,
        )
    assert await redis.xlen(AUDIT_STREAM) == 0


async def test_text_that_cannot_be_audited_is_not_read(
    log: Any, facts: Any, keys: Any, key_directory: Path, call: Call, reader: str, redis: Redis
) -> None:
    fact = seal(key_directory, facts.prediction(), PLAIN, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    await redis.set(AUDIT_STREAM, "no stream")
    with pytest.raises(Unavailable) as caught:
        await call(
            pb.GetPredictionRequest(prediction_id=fact.prediction_id, include_input=True),
            token=reader,
        )
    assert caught.value.code == "EVENT_STREAM_UNAVAILABLE"


async def test_damaged_text_or_a_missing_key_is_an_error_and_not_an_empty_answer(
    log: Any,
    facts: Any,
    keys: Any,
    key_directory: Path,
    serve: Call,
    call: Call,
    reader: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fact = seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(fact))
    request = pb.GetPredictionRequest(prediction_id=fact.prediction_id, include_input=True)
    without_keys = await serve(log.database, PrivacyKeys())
    with pytest.raises(Unavailable) as caught:
        await without_keys(request, token=reader)
    assert caught.value.code == "PRIVACY_NOT_CONFIGURED"
    await log.execute("UPDATE subject_keys SET master_key = 'of last year'")
    with pytest.raises(Unavailable) as caught:
        await call(request, token=reader)
    assert caught.value.code == "MASTER_KEY_MISSING"
    await log.execute("DELETE FROM subject_keys")
    answer = await call(request, token=reader)
    assert not answer.prediction.HasField("input_text")
    other = seal(key_directory, facts.prediction(), ENCRYPTED, subject=SUBJECT, text=TEXT)
    await log.recorder(keys=keys).record(facts.events(other))
    await log.execute(
        "UPDATE prediction_logs SET input_ciphertext = input_ciphertext || '\\x00', "
        "input_key_id = (SELECT id FROM subject_keys)"
    )
    request.prediction_id = other.prediction_id
    with pytest.raises(Internal) as damaged:
        await call(request, token=reader)
    assert damaged.value.code == "INPUT_DAMAGED"
    printed = capsys.readouterr().out
    assert "input_damaged" in printed
    assert TEXT not in printed
    assert SUBJECT not in printed


async def test_predictions_are_found_by_the_person_whom_they_are_about(
    log: Any, facts: Any, keys: Any, key_directory: Path, serve: Call, call: Call
) -> None:
    def about(subject: str, tenant: str = "tenant-1") -> Any:
        return seal(key_directory, facts.prediction(tenant=tenant), NOTHING, subject=subject)

    batch = [about(SUBJECT), about("bob"), facts.prediction(), about(SUBJECT), about(SUBJECT, "t2")]
    await log.recorder(keys=keys).record(facts.events(*batch))
    matching = pb.PredictionFilter(subject=SUBJECT)
    first = await call(pb.ListPredictionsRequest(filter=matching, limit=1))
    rest = await call(pb.ListPredictionsRequest(filter=matching, limit=5, cursor=first.next_cursor))
    found = [each.prediction_id for page in (first, rest) for each in page.predictions]
    assert found == [batch[3].prediction_id, batch[0].prediction_id]
    assert (await call(pb.GetStatsRequest(filter=matching))).predictions == 2
    with pytest.raises(InvalidInput) as caught:
        await call(pb.ListPredictionsRequest(filter=pb.PredictionFilter(subject="s" * 257)))
    assert caught.value.violations[0].field == "filter.subject"
    without_keys = await serve(log.database, PrivacyKeys())
    with pytest.raises(Unavailable) as unavailable:
        await without_keys(pb.ListPredictionsRequest(filter=matching))
    assert unavailable.value.code == "PRIVACY_NOT_CONFIGURED"

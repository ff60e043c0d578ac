"""What leaves inference of a text and of the person whom it is about: sealed bytes, or nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc.aio import AioRpcError
from redis.asyncio import Redis

from inference.domain import SealingKeyInvalid
from inference.sealing import load_sealing_key
from servicekit.errors import PermissionDenied, ServiceError, Unavailable
from servicekit.grpc_errors import from_rpc_error
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2
from weir.inference.v1 import inference_pb2 as pb
from weir.predictions.v1.keeping_pb2 import (
    INPUT_KEEPING_ENCRYPTED,
    INPUT_KEEPING_NOTHING,
    INPUT_KEEPING_PLAIN,
    Keeping,
)

Connect = Callable[[str], Any]
Recorded = Callable[[], Awaitable[list[events_pb2.PredictionRecorded]]]
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
LOG_KEY = X25519PrivateKey.generate()
TEXT = "good granny's parcel"
SUBJECT = "alice@example.org"
ENCRYPTED = {"input": "encrypted", "retention_class": "long"}


def call(*items: pb.PredictItem) -> pb.PredictRequest:
    return pb.PredictRequest(model="sentiment", items=items)


def opened(event: events_pb2.PredictionRecorded) -> events_pb2.PrivateInput:
    info = f"weir.events.v1.PrivateInput {event.prediction_id}".encode()
    return events_pb2.PrivateInput.FromString(SUITE.decrypt(event.sealed_input, LOG_KEY, info=info))


async def refused(stub: Any, request: pb.PredictRequest) -> ServiceError:
    with pytest.raises(AioRpcError) as caught:
        await stub.Predict(request)
    return from_rpc_error(caught.value, "inference")


async def stream_bytes(redis: Redis) -> bytes:
    """All that the events Redis holds, keys and values."""
    dumps = [await redis.dump(key) for key in await redis.keys()]
    return b"".join(dump for dump in dumps if dump)


class TestWithTheLogsKey:
    @pytest.fixture
    def sealing_key(self) -> X25519PublicKey:
        return LOG_KEY.public_key()

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"keeping": {}},
            {"keeping": {"input": "nothing"}},
            {"keeping": {"input": "of tomorrow"}},
            {"keeping": "encrypted"},
            {"keeping": {"input": "nothing", "retention_class": 5}},
            {"keeping": {"retention_class": "r" * 33}},
        ],
    )
    async def test_token_that_says_nothing_or_nonsense_keeps_nothing(
        self, connect: Connect, recorded: Recorded, issuer: FakeIssuer, claims: dict[str, Any]
    ) -> None:
        stub = connect(issuer.token("models:predict", **claims))
        await stub.Predict(call(pb.PredictItem(text=TEXT)))
        (event,) = await recorded()
        assert event.sealed_input == b""
        assert not event.HasField("keeping")

    @pytest.mark.parametrize(
        ("claimed", "kept"),
        [("encrypted", INPUT_KEEPING_ENCRYPTED), ("plain", INPUT_KEEPING_PLAIN)],
    )
    async def test_text_is_sealed_where_the_token_says_that_it_is_kept(
        self,
        connect: Connect,
        recorded: Recorded,
        issuer: FakeIssuer,
        redis: Redis,
        claimed: str,
        kept: Any,
    ) -> None:
        keeping = {"input": claimed, "retention_class": "long"}
        stub = connect(issuer.token("models:predict", keeping=keeping))
        await stub.Predict(
            call(pb.PredictItem(text=TEXT, subject=SUBJECT), pb.PredictItem(text="good day"))
        )
        first, second = await recorded()
        assert first.keeping == Keeping(input=kept, retention_class="long")
        assert opened(first) == events_pb2.PrivateInput(subject=SUBJECT, text=TEXT)
        assert opened(second) == events_pb2.PrivateInput(text="good day")
        written = await stream_bytes(redis)
        for private in (TEXT, SUBJECT, "parcel", "good day"):
            assert private.encode() not in written
        first.prediction_id = second.prediction_id
        with pytest.raises(InvalidTag):
            opened(first)

    async def test_subject_is_sealed_without_the_text_where_no_text_is_kept(
        self, connect: Connect, recorded: Recorded, issuer: FakeIssuer
    ) -> None:
        stub = connect(issuer.token("models:predict"))
        await stub.Predict(call(pb.PredictItem(text=TEXT, subject=SUBJECT)))
        (event,) = await recorded()
        assert opened(event) == events_pb2.PrivateInput(subject=SUBJECT)

    async def test_delegate_states_how_each_record_is_kept(
        self, connect: Connect, recorded: Recorded, issuer: FakeIssuer
    ) -> None:
        stub = connect(issuer.token("models:predict", "delegate", tenant="weir", keeping=ENCRYPTED))
        for_another = pb.Caller(tenant="acme", client_id="a-1")
        plain = Keeping(input=INPUT_KEEPING_PLAIN)
        await stub.Predict(
            call(
                pb.PredictItem(text=TEXT, caller=for_another, keeping=plain),
                # Its own tenant's policy is none of the other tenant's.
                pb.PredictItem(text=TEXT, caller=for_another),
                pb.PredictItem(text=TEXT),
            )
        )
        kept = {
            (event.tenant, event.keeping.input, bool(event.sealed_input))
            for event in await recorded()
        }
        assert kept == {
            ("acme", INPUT_KEEPING_PLAIN, True),
            ("acme", 0, False),
            ("weir", INPUT_KEEPING_ENCRYPTED, True),
        }

    async def test_nobody_else_states_it(
        self, connect: Connect, recorded: Recorded, issuer: FakeIssuer
    ) -> None:
        stub = connect(issuer.token("models:predict", keeping=ENCRYPTED))
        for keeping in (
            Keeping(input=INPUT_KEEPING_PLAIN, retention_class="long"),
            Keeping(input=INPUT_KEEPING_NOTHING, retention_class="long"),
            Keeping(input=INPUT_KEEPING_ENCRYPTED),
            Keeping(),
        ):
            error = await refused(stub, call(pb.PredictItem(text=TEXT, keeping=keeping)))
            assert isinstance(error, PermissionDenied)
        own = Keeping(input=INPUT_KEEPING_ENCRYPTED, retention_class="long")
        await stub.Predict(call(pb.PredictItem(text=TEXT, keeping=own)))
        assert len(await recorded()) == 1

    async def test_retention_class_that_no_log_could_store_is_refused(
        self, connect: Connect, issuer: FakeIssuer
    ) -> None:
        stub = connect(issuer.token("models:predict", "delegate"))
        item = pb.PredictItem(text=TEXT, keeping=Keeping(retention_class="r" * 33))
        assert (await refused(stub, call(item))).code == "KEEPING_INVALID"

    @pytest.mark.parametrize("subject", ["s" * 257, "a\0b", "a\nb", " \u3000", "\x85"])
    async def test_subject_that_is_no_name_is_rejected_and_not_repeated(
        self, connect: Connect, issuer: FakeIssuer, subject: str
    ) -> None:
        stub = connect(issuer.token("models:predict"))
        longest = pb.PredictItem(text="good", subject="ü" * 256)
        answer = await stub.Predict(call(pb.PredictItem(text="good", subject=subject), longest))
        error = answer.outcomes[0].error
        assert error.reason == pb.ITEM_ERROR_REASON_SUBJECT_INVALID
        assert subject not in error.message
        assert answer.outcomes[1].HasField("prediction")


async def test_without_the_key_what_would_need_it_is_refused_and_the_rest_is_served(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    keeping = connect(issuer.token("models:predict", keeping={"input": "plain"}))
    ordinary = connect(issuer.token("models:predict"))
    for stub, item in (
        (keeping, pb.PredictItem(text=TEXT)),
        (ordinary, pb.PredictItem(text=TEXT, subject=SUBJECT)),
    ):
        error = await refused(stub, call(item))
        assert isinstance(error, Unavailable)
        assert error.code == "SEALING_KEY_MISSING"
        assert error.retry_after == 10
        assert error.message.isascii()
        assert "parcel" not in error.message
    answer = await ordinary.Predict(call(pb.PredictItem(text=TEXT)))
    assert answer.outcomes[0].HasField("prediction")
    assert len(await recorded()) == 1


def test_sealing_key_is_an_x25519_public_key(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    formats = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file.write_bytes(LOG_KEY.public_key().public_bytes(*formats))
    assert load_sealing_key(file) == LOG_KEY.public_key()
    for wrong in (b"", generate_private_key(SECP256R1()).public_key().public_bytes(*formats)):
        file.write_bytes(wrong)
        with pytest.raises(SealingKeyInvalid):
            load_sealing_key(file)

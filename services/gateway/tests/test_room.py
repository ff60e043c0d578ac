"""How much may be under way, and what inference's refusals teach."""

import pytest

from gateway.errors import GatewayFull
from gateway.room import Room
from weir.inference.v1 import inference_pb2 as pb

from .backends import Backends
from .conftest import Call
from .test_predict import refused


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_room_shrinks_when_inference_is_saturated_and_grows_while_it_is_not() -> None:
    clock = Clock()
    room = Room(1000, clock=clock)
    room.claim("t", 200)
    room.shrink(3.0)
    with pytest.raises(GatewayFull) as full:
        room.check("t", 1)
    assert full.value.retry_after == 3.0
    room.release("t", 20)
    with pytest.raises(GatewayFull):
        room.check("t", 1)
    for _ in range(30):
        room.grow()
    room.check("t", 30)


def test_refusals_of_one_moment_are_one_lesson() -> None:
    clock = Clock()
    room = Room(1000, clock=clock)
    room.claim("t", 200)
    for _ in range(10):
        room.shrink(1.0)
    room.release("t", 21)
    room.check("t", 1)
    clock.now = 0.2
    room.shrink(1.0)
    with pytest.raises(GatewayFull):
        room.check("t", 1)


def test_room_never_shrinks_to_nothing() -> None:
    clock = Clock()
    room = Room(1000, clock=clock)
    for _ in range(100):
        clock.now += 1
        room.shrink(1.0)
    room.check("t", 64)


def test_batch_larger_than_what_was_learnt_passes_when_little_is_under_way() -> None:
    room = Room(1000)
    room.claim("t", 100)
    room.shrink(1.0)
    with pytest.raises(GatewayFull):
        room.check("t", 256)
    room.release("t", 50)
    room.check("t", 256)


def test_quiet_tenant_keeps_its_share_while_another_floods() -> None:
    room = Room(1000)
    room.claim("loud", 200)
    room.shrink(1.0)
    with pytest.raises(GatewayFull):
        room.claim("loud", 1)
    room.claim("quiet", 50)
    with pytest.raises(GatewayFull):
        room.claim("quiet", 50)


class TestWithoutRoom:
    @pytest.fixture
    def settings(self, settings: dict[str, object]) -> dict[str, object]:
        return settings | {"inference_items": 1}

    async def test_flood_is_refused_without_asking_anybody(
        self, predict: Call, backends: Backends
    ) -> None:
        assert (await predict({"text": "x"})).status_code == 200
        calls = len(backends.inference.predicts.requests)
        answer = await predict({"texts": ["a", "b"]}, path="/predict/batch")
        refused(answer, 503, "GATEWAY_FULL")
        assert int(answer.headers["retry-after"]) >= 1
        assert "ratelimit" not in answer.headers
        assert len(backends.inference.predicts.requests) == calls


async def test_saturated_inference_teaches_the_gateway(predict: Call, backends: Backends) -> None:
    backends.inference.item_errors[0] = pb.ItemError(
        reason=pb.ITEM_ERROR_REASON_SATURATED, message="full"
    )
    refused(await predict({"text": "x"}), 503, "SATURATED")
    backends.inference.item_errors.clear()
    assert (await predict({"text": "x"})).status_code == 200

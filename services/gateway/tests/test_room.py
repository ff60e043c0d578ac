"""How much may be under way, and what inference's refusals teach."""

import asyncio

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


def overloaded(clock: Clock, *, answered: int) -> Room:
    """A room in its third second of an overload, with so many answers a second."""
    room = Room(2048, clock=clock)
    room.claim("t", 600)
    for _ in range(30):
        clock.now += 0.1
        room.shrink(1.0)
        room.answered(answered // 10)
    room.release("t", 600)
    return room


def taken(room: Room) -> int:
    """How many requests of one tenant it takes at once."""
    for number in range(2048):
        try:
            room.claim("t", 1)
        except GatewayFull:
            return number
    return 2048


def test_room_shrinks_when_inference_is_saturated() -> None:
    room = Room(1000, clock=Clock())
    room.claim("t", 200)
    room.shrink(3.0)
    with pytest.raises(GatewayFull) as full:
        room.check("t", 1)
    assert full.value.retry_after == 3.0
    room.release("t", 20)
    with pytest.raises(GatewayFull):
        room.check("t", 1)
    room.release("t", 1)
    room.check("t", 1)


@pytest.mark.parametrize("answered", [250, 500, 1000])
def test_in_overload_no_more_is_under_way_than_is_answered_soon(answered: int) -> None:
    assert taken(overloaded(Clock(), answered=answered)) <= max(64, 0.4 * answered * 1.25)


def test_idleness_before_an_overload_is_not_taken_for_slowness() -> None:
    clock = Clock()
    room = Room(2048, clock=clock)
    room.answered(1)
    clock.now += 3600.0
    room.claim("t", 600)
    room.shrink(1.0)
    clock.now += 0.1
    room.answered(50)
    room.release("t", 600)
    assert taken(room) > 500


def test_overload_that_goes_on_neither_widens_the_room_nor_closes_it() -> None:
    clock = Clock()
    room = overloaded(clock, answered=500)
    taken(room)
    rooms = []
    for _ in range(100):
        clock.now += 0.1
        room.release("t", 50)
        room.answered(50)
        rooms.append(taken(room))
    assert set(rooms[50:]) <= {50, 51}
    room.release("t", 150)
    assert taken(room) in (150, 151)


def test_room_is_whole_again_after_a_second_without_a_refusal() -> None:
    clock = Clock()
    room = overloaded(clock, answered=500)
    room.claim("t", 200)
    with pytest.raises(GatewayFull):
        room.check("t", 100)
    clock.now += 0.9
    with pytest.raises(GatewayFull):
        room.check("t", 100)
    clock.now += 1.0
    room.check("t", 800)


def test_crowd_that_inference_takes_whole_is_not_turned_away() -> None:
    clock = Clock()
    room = Room(2048, clock=clock)
    room.claim("t", 256)
    for _ in range(100):
        clock.now += 0.1
        room.answered(20)
        room.check("t", 256)


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
    room = Room(1000, clock=Clock())
    room.claim("t", 100)
    room.shrink(1.0)
    with pytest.raises(GatewayFull):
        room.check("t", 256)
    room.release("t", 50)
    room.check("t", 256)


def test_quiet_tenant_keeps_its_share_while_another_floods() -> None:
    room = Room(1000, clock=Clock())
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

    async def test_body_of_what_is_refused_is_not_read(
        self, predict: Call, backends: Backends
    ) -> None:
        reached, released = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            reached.set()
            await released.wait()

        backends.inference.predicts.wait = hold
        held = asyncio.create_task(predict({"text": "x"}))
        await reached.wait()
        refused(await predict(content=b"no JSON"), 503, "GATEWAY_FULL")
        refused(await predict(content=b"no JSON", path="/predict/batch"), 503, "GATEWAY_FULL")
        released.set()
        assert (await held).status_code == 200


async def test_saturated_inference_teaches_the_gateway(predict: Call, backends: Backends) -> None:
    backends.inference.item_errors[0] = pb.ItemError(
        reason=pb.ITEM_ERROR_REASON_SATURATED, message="full"
    )
    refused(await predict({"text": "x"}), 503, "SATURATED")
    backends.inference.item_errors.clear()
    assert (await predict({"text": "x"})).status_code == 200

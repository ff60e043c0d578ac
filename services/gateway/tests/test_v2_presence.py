"""What becomes of a V2 request whose client goes away."""

import asyncio
from typing import Any, cast

import pytest

from gateway.access import Caller
from gateway.client_presence import ClientPresence
from gateway.errors import ClientGone
from gateway.model_catalogue import ModelCatalogue
from gateway.quota_meter import QuotaMeter
from gateway.v2_inference import V2Inference
from gateway.v2_request import read_infer

BODY = b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]}'


class SlowModels:
    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = False

    async def infer(self, message: Any, caller: Any) -> Any:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class FreeMeter:
    def __init__(self) -> None:
        self.released = 0

    def counts_tokens(self, client: Any) -> bool:
        return False

    async def charge(self, client: Any, items: int, tokens: int) -> object:
        return object()

    def release(self, charge: object) -> None:
        self.released += 1


def inference_of(models: SlowModels, meter: FreeMeter) -> V2Inference:
    return V2Inference(models, cast("QuotaMeter", meter), cast("ModelCatalogue", None))


async def test_call_is_given_up_when_its_client_goes_away() -> None:
    models = SlowModels()

    async def receive() -> dict[str, Any]:
        await models.asked.wait()
        return {"type": "http.disconnect"}

    meter = FreeMeter()
    inference = inference_of(models, meter)
    caller = Caller(cast("Any", None), frozenset())
    with pytest.raises(ClientGone):
        await inference.infer(
            caller, read_infer("sentiment", "", BODY, None), ClientPresence(receive)
        )
    assert models.cancelled
    assert meter.released == 1


async def test_request_that_is_cancelled_takes_its_call_along() -> None:
    models = SlowModels()
    meter = FreeMeter()
    inference = inference_of(models, meter)
    caller = Caller(cast("Any", None), frozenset())
    call = read_infer("sentiment", "", BODY, None)
    request = asyncio.create_task(inference.infer(caller, call, ClientPresence()))
    await models.asked.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert models.cancelled
    assert meter.released == 1

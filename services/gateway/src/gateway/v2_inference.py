"""One request of the Open Inference Protocol, from the checked message to the answer."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from gateway.access import Caller
from gateway.client_presence import ClientPresence
from gateway.domain import PolicyState
from gateway.errors import ClientGone
from gateway.model_catalogue import ModelCatalogue
from gateway.quota_meter import QuotaMeter
from gateway.v2_request import V2Call
from servicekit.errors import InvalidInput, NotFound, Unavailable
from weir.oip.v2 import open_inference_pb2 as pb

_TOKENS = "input_tokens"
"""Parameter of an answer on texts."""


class TensorModels(Protocol):
    """Answers requests."""

    async def infer(self, message: pb.ModelInferRequest, caller: Caller) -> pb.ModelInferResponse:
        """All rows or none."""
        ...


@dataclass(frozen=True, slots=True)
class V2Answered:
    """The answer, and what is left of the client's quotas."""

    message: pb.ModelInferResponse
    quotas: tuple[PolicyState, ...]


class V2Inference:
    """Charges a request for its rows, then has it answered.

    What the request says of its rows is believed until inference, which knows the model's shapes,
    has looked: it answers only where the first dimension of every tensor counts them.
    """

    def __init__(self, models: TensorModels, meter: QuotaMeter, catalogue: ModelCatalogue) -> None:
        self._models = models
        self._catalogue = catalogue
        self._meter = meter

    async def infer(self, caller: Caller, call: V2Call, presence: ClientPresence) -> V2Answered:
        """Predicts every row or none.

        Raises:
            ClientGone: nobody waits for the answer any more; inference is told so.
            ServiceError: why nothing was predicted. The charge is given back unless the work may
                have been done all the same.
        """
        tokens = 0
        if self._meter.counts_tokens(caller.client):
            tokens = await self._most_tokens(call)
        charge = await self._meter.charge(caller.client, max(1, call.rows), tokens)
        try:
            answer = await self._answer(call.message, caller, presence)
        except (Unavailable, InvalidInput, NotFound):
            self._meter.refund(charge)
            raise
        finally:
            self._meter.release(charge)
        # What is not told stays charged at its most.
        if tokens and _TOKENS in answer.parameters:
            self._meter.settle(charge, answer.parameters[_TOKENS].int64_param)
        return V2Answered(answer, charge.states)

    async def _most_tokens(self, call: V2Call) -> int:
        """Of texts; a model that takes none is given no tokens."""
        model = await self._catalogue.find(call.message.model_name)
        return max(1, call.rows) * model.max_tokens

    async def _answer(
        self, message: pb.ModelInferRequest, caller: Caller, presence: ClientPresence
    ) -> pb.ModelInferResponse:
        asking = asyncio.ensure_future(self._models.infer(message, caller))
        gone = asyncio.Event()

        def leave() -> None:
            gone.set()
            asking.cancel()

        try:
            with presence.watched(leave):
                return await asking
        except asyncio.CancelledError as error:
            asking.cancel()
            if not gone.is_set():
                raise
            raise ClientGone("The client went away.") from error

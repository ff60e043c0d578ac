"""One request of the Open Inference Protocol, from the checked message to the answer."""

from dataclasses import dataclass
from typing import Protocol

from gateway.access import Caller
from gateway.domain import PolicyState
from gateway.quota_meter import QuotaMeter
from gateway.v2_request import V2Call
from servicekit.errors import InvalidInput, NotFound, Unavailable
from weir.oip.v2 import open_inference_pb2 as pb


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

    def __init__(self, models: TensorModels, meter: QuotaMeter) -> None:
        self._models = models
        self._meter = meter

    async def infer(self, caller: Caller, call: V2Call) -> V2Answered:
        """Predicts every row or none.

        Raises:
            ServiceError: why nothing was predicted. The charge is given back unless the work may
                have been done all the same.
        """
        charge = await self._meter.charge(caller.client, max(1, call.rows))
        try:
            answer = await self._models.infer(call.message, caller)
        except (Unavailable, InvalidInput, NotFound):
            await self._meter.refund(charge)
            raise
        return V2Answered(answer, charge.states)

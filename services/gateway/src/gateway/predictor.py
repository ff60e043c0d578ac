"""One request for predictions, from the checked shape to the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.access import Caller
from gateway.client_presence import ClientPresence
from gateway.domain import PolicyState
from gateway.errors import ClientGoneUnserved, DeadlineBeforeSending
from gateway.inference_client import InferenceClient, Prediction
from gateway.model_catalogue import ModelCatalogue
from gateway.quota_meter import QuotaMeter
from gateway.text_rules import check_texts
from gateway.token_bound import most_tokens
from servicekit.errors import InvalidInput, NotFound, Unavailable
from servicekit.span_names import CHARGE
from servicekit.telemetry import child_span


@dataclass(frozen=True, slots=True)
class Answered:
    """Predictions in the order of the texts, and what is left of the client's quotas."""

    predictions: list[Prediction]
    quotas: tuple[PolicyState, ...]


class Predictor:
    """Checks everything, then charges, then predicts: what is refused costs nothing."""

    def __init__(
        self, inference: InferenceClient, catalogue: ModelCatalogue, meter: QuotaMeter
    ) -> None:
        self._inference = inference
        self._catalogue = catalogue
        self._meter = meter

    def check_room(self, caller: Caller) -> None:
        """Returns if a text of the caller's could be taken now: in a flood bodies are not read.

        Raises:
            GatewayFull: it could not.
        """
        self._inference.check_room(caller.tenant, 1)

    async def predict(
        self,
        caller: Caller,
        model: str,
        texts: Sequence[str],
        fields: Sequence[str],
        subjects: Sequence[str],
        presence: ClientPresence,
    ) -> Answered:
        """Predicts every text or none.

        Args:
            fields: what each text is called in the request, for errors.
            subjects: the person whom each text is about; empty where nobody was named.
            presence: whether the client is still there to be answered.

        Raises:
            ServiceError: why nothing was predicted. The charge is given back unless the work may
                have been done all the same.
        """
        known = await self._catalogue.find_for_text(model)
        check_texts(texts, fields, known.max_characters)
        # Refused before anything is paid for: what comes in a flood must cost next to nothing.
        self._inference.check_room(caller.tenant, len(texts))
        tokens = 0
        if self._meter.counts_tokens(caller.client):
            tokens = most_tokens(texts, known.max_tokens)
        # A refusal is no failure of ours.
        with child_span(CHARGE, fails=False):
            charge = await self._meter.charge(caller.client, len(texts), tokens)
        try:
            predictions = await self._inference.predict(
                model,
                texts,
                fields,
                subjects=subjects,
                caller=caller,
                presence=presence,
            )
        except (Unavailable, InvalidInput, NotFound, DeadlineBeforeSending, ClientGoneUnserved):
            self._meter.refund(charge)
            raise
        finally:
            self._meter.release(charge)
        # One that is not told stays charged at its most.
        if tokens and all(each.input_tokens for each in predictions):
            self._meter.settle(charge, sum(each.input_tokens for each in predictions))
        return Answered(predictions, charge.states)

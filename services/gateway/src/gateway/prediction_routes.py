"""POST …/predict and …/predict/batch."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Security
from starlette.responses import Response

from gateway.access import BearerAccess, Caller
from gateway.api_answers import (
    ModelPrediction,
    ModelPredictions,
    SentimentPrediction,
    SentimentPredictions,
)
from gateway.api_description import body_of, writing
from gateway.api_shapes import PredictBatchBody, PredictBody
from gateway.client_presence import ClientPresence
from gateway.direct_routes import DirectRoute
from gateway.idempotency import Idempotency
from gateway.inference_client import Prediction
from gateway.json_answer import JsonAnswer
from gateway.predictor import Predictor
from gateway.rate_limit_headers import rate_limit_headers
from gateway.request_body import read_json
from servicekit.errors import FieldViolation, InvalidInput

_SCOPE = "models:predict"


class PredictionRoutes:
    """The routes; handlers read their bodies themselves, after the token was checked."""

    def __init__(
        self,
        predictor: Predictor,
        *,
        default_model: str,
        max_body_bytes: int,
        max_batch: int,
        idempotency: Idempotency,
    ) -> None:
        self._predictor = predictor
        self._default_model = default_model
        self._max_body_bytes = max_body_bytes
        self._max_batch = max_batch
        self._idempotency = idempotency

    def direct(self, access: BearerAccess) -> list[DirectRoute]:
        """The routes for `DirectRoutes`."""
        return [
            DirectRoute("/predict", access, _SCOPE, self._one),
            DirectRoute("/predict/batch", access, _SCOPE, self._batch),
            DirectRoute("/v1/models/{model}/predict", access, _SCOPE, self._one),
            DirectRoute("/v1/models/{model}/predict/batch", access, _SCOPE, self._batch),
        ]

    def described(self, access: BearerAccess) -> APIRouter:
        """The same routes for FastAPI, which describes them."""
        router = APIRouter(tags=["predictions"])
        may_predict: Caller = Security(access, scopes=[_SCOPE])

        @router.post(
            "/predict",
            response_model=SentimentPrediction,
            responses=writing(404, 409, 429),
            openapi_extra=body_of(PredictBody),
            summary="Judge one text with the default model",
        )
        async def predict(request: Request, caller: Caller = may_predict) -> Response:
            return await self._one(request, caller, "")

        @router.post(
            "/predict/batch",
            response_model=SentimentPredictions,
            responses=writing(404, 409, 429),
            openapi_extra=body_of(PredictBatchBody),
            summary="Judge several texts with the default model",
        )
        async def predict_batch(request: Request, caller: Caller = may_predict) -> Response:
            return await self._batch(request, caller, "")

        @router.post(
            "/v1/models/{model}/predict",
            response_model=ModelPrediction,
            responses=writing(404, 409, 429),
            openapi_extra=body_of(PredictBody),
            summary="Predict one text",
        )
        async def predict_with(
            request: Request, model: str, caller: Caller = may_predict
        ) -> Response:
            return await self._one(request, caller, model)

        @router.post(
            "/v1/models/{model}/predict/batch",
            response_model=ModelPredictions,
            responses=writing(404, 409, 429),
            openapi_extra=body_of(PredictBatchBody),
            summary="Predict several texts",
        )
        async def predict_batch_with(
            request: Request, model: str, caller: Caller = may_predict
        ) -> Response:
            return await self._batch(request, caller, model)

        return router

    async def _one(self, request: Request, caller: Caller, model: str) -> Response:
        return await self._idempotency.once(
            request, caller, lambda asked: self._predict(asked, caller, model)
        )

    async def _batch(self, request: Request, caller: Caller, model: str) -> Response:
        return await self._idempotency.once(
            request, caller, lambda asked: self._predict_batch(asked, caller, model)
        )

    async def _predict(self, request: Request, caller: Caller, model: str) -> Response:
        self._predictor.check_room(caller)
        body = await read_json(request, PredictBody, self._max_body_bytes)
        answered = await self._predictor.predict(
            caller,
            model or self._default_model,
            [body.text],
            ["text"],
            [body.subject or ""],
            ClientPresence(request.receive),
        )
        content = _content(answered.predictions[0], _label(model), body.return_probabilities)
        return JsonAnswer(content, rate_limit_headers(answered.quotas))

    async def _predict_batch(self, request: Request, caller: Caller, model: str) -> Response:
        self._predictor.check_room(caller)
        body = await read_json(request, PredictBatchBody, self._max_body_bytes)
        _check_size(body.texts, self._max_batch)
        answered = await self._predictor.predict(
            caller,
            model or self._default_model,
            body.texts,
            [f"texts[{index}]" for index in range(len(body.texts))],
            _subjects(body),
            ClientPresence(request.receive),
        )
        predictions = [
            _content(prediction, _label(model), body.return_probabilities)
            for prediction in answered.predictions
        ]
        return JsonAnswer({"predictions": predictions}, rate_limit_headers(answered.quotas))


def _label(model: str) -> str:
    """What the answer calls the label: the short routes, which name no model, have their own."""
    return "label" if model else "predicted_sentiment"


def _check_size(texts: Sequence[str], most: int) -> None:
    if len(texts) > most:
        fault = FieldViolation("texts", f"holds {len(texts)} texts; {most} are the most")
        raise InvalidInput("The batch is too large.", violations=[fault])


def _subjects(body: PredictBatchBody) -> list[str]:
    if body.subjects is None:
        return [""] * len(body.texts)
    if len(body.subjects) != len(body.texts):
        fault = FieldViolation("subjects", "must hold as many as texts; null where there is none")
        raise InvalidInput("The request has wrong fields.", violations=[fault])
    return [subject or "" for subject in body.subjects]


def _content(prediction: Prediction, label: str, with_probabilities: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "prediction_id": prediction.prediction_id,
        label: prediction.label,
        "confidence": prediction.confidence,
    }
    if with_probabilities:
        content["probabilities"] = prediction.probabilities
    content["model"] = prediction.model
    content["model_version"] = prediction.model_version
    content["inference_ms"] = prediction.inference_ms
    if prediction.unlogged:
        content["unlogged"] = True
    return content

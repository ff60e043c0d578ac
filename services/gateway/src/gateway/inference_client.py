"""The inference service, as the gateway sees it: the only importer of its stubs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc

from gateway.domain import InputKeeping, Keeping, ModelUnknown, UpstreamFailed
from gateway.upstream import answer_of
from servicekit.errors import FieldViolation, InvalidInput, NotFound
from weir.inference.v1 import inference_pb2 as pb
from weir.inference.v1 import inference_pb2_grpc
from weir.predictions.v1 import keeping_pb2

_SERVICE = "inference"
_KEEPING = {
    InputKeeping.NOTHING: keeping_pb2.INPUT_KEEPING_NOTHING,
    InputKeeping.ENCRYPTED: keeping_pb2.INPUT_KEEPING_ENCRYPTED,
    InputKeeping.PLAIN: keeping_pb2.INPUT_KEEPING_PLAIN,
}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version that is loaded."""

    version: str
    traffic_percent: int
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Model:
    """What a model takes and says."""

    name: str
    task: str
    labels: tuple[str, ...]
    versions: tuple[ModelVersion, ...]
    max_characters: int
    """0 for a model that takes no text."""
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said about one text."""

    prediction_id: str
    model: str
    model_version: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    inference_ms: float
    unlogged: bool


class InferenceClient:
    """Calls inference over a channel that carries the gateway's token."""

    SERVICE = "weir.inference.v1.InferenceService"
    """What its health checks call it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: inference_pb2_grpc.InferenceServiceAsyncStub = (
            inference_pb2_grpc.InferenceServiceStub(channel)
        )

    async def predict(
        self,
        model: str,
        texts: Sequence[str],
        fields: Sequence[str],
        *,
        subjects: Sequence[str],
        tenant: str,
        client_id: str,
        keeping: Keeping,
    ) -> list[Prediction]:
        """Predicts each text, all of them or none.

        Args:
            fields: what each text is called in the caller's request.
            subjects: the person whom each text is about; empty where nobody was named.

        Raises:
            InvalidInput: the model will not take some of them.
            ModelUnknown: it is not loaded.
            ServiceError: inference is away, full, late or broken.
        """
        caller = pb.Caller(tenant=tenant, client_id=client_id)
        kept = keeping_pb2.Keeping(
            input=_KEEPING[keeping.input], retention_class=keeping.retention_class
        )
        request = pb.PredictRequest(
            model=model,
            items=[
                pb.PredictItem(text=text, caller=caller, subject=subject, keeping=kept)
                for text, subject in zip(texts, subjects, strict=True)
            ],
        )
        try:
            answer = await answer_of(_SERVICE, self._stub.Predict(request))
        except NotFound as error:
            raise _unknown(model) from error
        violations = [
            FieldViolation(field, outcome.error.message)
            for field, outcome in zip(fields, answer.outcomes, strict=False)
            if outcome.HasField("error")
        ]
        if violations:
            raise InvalidInput("A text cannot be predicted.", violations=violations)
        if len(answer.outcomes) != len(texts):
            raise UpstreamFailed("inference failed.", reason="INFERENCE_FAILED")
        return [_prediction(outcome.prediction) for outcome in answer.outcomes]

    async def list_models(self) -> list[Model]:
        """The models that are loaded.

        Raises:
            ServiceError: inference is away, full, late or broken.
        """
        answer = await answer_of(_SERVICE, self._stub.ListModels(pb.ListModelsRequest()))
        return [_model(model) for model in answer.models]

    async def get_model(self, name: str) -> Model:
        """One model.

        Raises:
            ModelUnknown: it is not loaded.
            ServiceError: inference is away, full, late or broken.
        """
        try:
            answer = await answer_of(_SERVICE, self._stub.GetModel(pb.GetModelRequest(model=name)))
        except NotFound as error:
            raise _unknown(name) from error
        return _model(answer.model)


def _unknown(name: str) -> ModelUnknown:
    return ModelUnknown(f"No model {name} is served.")


def _prediction(message: pb.Prediction) -> Prediction:
    return Prediction(
        prediction_id=message.prediction_id,
        model=message.model,
        model_version=message.model_version,
        label=message.label,
        confidence=message.confidence,
        probabilities={entry.label: entry.probability for entry in message.probabilities},
        inference_ms=message.inference_ms,
        unlogged=message.unlogged,
    )


def _model(message: pb.Model) -> Model:
    return Model(
        name=message.name,
        task=message.task,
        labels=tuple(message.labels),
        versions=tuple(
            ModelVersion(
                version=version.version,
                traffic_percent=version.traffic_percent,
                loaded_at=version.loaded_at.ToDatetime(UTC),
            )
            for version in message.versions
        ),
        max_characters=message.max_characters,
        max_tokens=message.max_tokens,
    )

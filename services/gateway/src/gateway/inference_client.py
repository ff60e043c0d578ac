"""The inference service, as the gateway sees it: the only importer of its stubs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import grpc
from opentelemetry import trace

from gateway.access import Caller
from gateway.client_presence import ClientPresence
from gateway.coalescer import Bounds, Coalescer, Waiting
from gateway.domain import InputKeeping
from gateway.errors import ModelUnknown, UpstreamFailed
from gateway.item_outcomes import predicted
from gateway.room import Room
from gateway.upstream import answer_of
from servicekit import request_context
from servicekit.errors import NotFound, Unavailable
from servicekit.telemetry import traceparent_of
from weir.inference.v1 import inference_pb2 as pb
from weir.inference.v1 import inference_pb2_grpc
from weir.predictions.v1 import keeping_pb2

_SERVICE = "inference"
VersionState = Literal["loading", "ready", "unavailable"]
_STATES: Mapping[pb.ModelVersionState, VersionState] = {
    pb.MODEL_VERSION_STATE_LOADING: "loading",
    pb.MODEL_VERSION_STATE_READY: "ready",
    pb.MODEL_VERSION_STATE_UNAVAILABLE: "unavailable",
}
INPUT_KEEPING = {
    InputKeeping.NOTHING: keeping_pb2.INPUT_KEEPING_NOTHING,
    InputKeeping.ENCRYPTED: keeping_pb2.INPUT_KEEPING_ENCRYPTED,
    InputKeeping.PLAIN: keeping_pb2.INPUT_KEEPING_PLAIN,
}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version that is loaded, or should be."""

    version: str
    traffic_percent: int
    loaded_at: datetime | None
    shadow: bool
    state: VersionState
    reason: str
    """Why it is unavailable, or what is odd about it; mostly empty."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a model takes and says."""

    name: str
    task: str
    """Empty while no version is loaded: nothing is known of it then."""
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
    input_tokens: int = 0
    """That the model was given; 0 where it takes no text."""


@dataclass(frozen=True, slots=True)
class TextWork:
    """The texts of one request, and for whom they are."""

    texts: Sequence[str]
    subjects: Sequence[str]
    caller: Caller
    request_id: str
    traceparent: str


_Waiting = Waiting[TextWork, pb.ItemOutcome]

_FULL = frozenset({"QUEUE_FULL", "INFERENCE_EXHAUSTED"})
"""Codes of calls of which inference could take nothing; the latter is gRPC's own refusal."""
_ALONE_ITEMS = 16
_ALONE_CHARACTERS = 1000
"""A request with more of either is sent alone: the model's work on it is worth a call of its own,
and shorter ones would wait for it."""


class InferenceClient:
    """Calls inference over a channel that carries the gateway's token.

    Args:
        bounds: how requests share calls.
        room: how much may be under way.
        longest_wait: seconds that a prediction is waited for.
    """

    SERVICE = "weir.inference.v1.InferenceService"
    """What its health checks call it."""
    MODELS = "models"
    """What they call its model repository: not serving while a version or a routing is broken."""

    def __init__(
        self, channel: grpc.aio.Channel, bounds: Bounds, room: Room, *, longest_wait: float
    ) -> None:
        self._stub: inference_pb2_grpc.InferenceServiceAsyncStub = (
            inference_pb2_grpc.InferenceServiceStub(channel)
        )
        self._longest_wait = longest_wait
        self._coalescer: Coalescer[tuple[str, str], TextWork, pb.ItemOutcome] = Coalescer(
            self._call, bounds, room
        )
        self._room = room

    def check_room(self, tenant: str, items: int) -> None:
        """Returns if a request of so many items could be taken now.

        Raises:
            GatewayFull: it could not.
        """
        self._room.check(tenant, items)

    async def predict(
        self,
        model: str,
        texts: Sequence[str],
        fields: Sequence[str],
        *,
        subjects: Sequence[str],
        caller: Caller,
        presence: ClientPresence,
        version: str = "",
    ) -> list[Prediction]:
        """Predicts each text, all of them or none, perhaps in one call with others' texts.

        Args:
            fields: what each text is called in the caller's request.
            subjects: the person whom each text is about; empty where nobody was named.
            version: of the model; empty leaves the choice to its routing.

        Raises:
            InvalidInput: the model will not take some of them.
            ModelUnknown: it is not loaded.
            ClientGone: nobody waits for the answer any more.
            ServiceError: inference is away, full, late or broken.
        """
        span = trace.get_current_span().get_span_context()
        work = TextWork(
            texts, subjects, caller, request_context.request_id.get(), traceparent_of(span)
        )
        outcomes = await self._coalescer.outcomes(
            (model, version),
            work,
            size=len(texts),
            tenant=caller.tenant,
            limit=self._longest_wait,
            traced=span.trace_flags.sampled,
            alone=len(texts) > _ALONE_ITEMS or sum(map(len, texts)) > _ALONE_CHARACTERS,
            presence=presence,
        )
        return [_prediction(each) for each in predicted(outcomes, fields)]

    async def _call(
        self, destination: tuple[str, str], carried: Sequence[_Waiting]
    ) -> Sequence[pb.ItemOutcome]:
        model, version = destination
        request = pb.PredictRequest(model=model, version=version)
        now = time.monotonic()
        for waiting in carried:
            _add_items(request, waiting.work, max(0.0, waiting.deadline - now))
        try:
            answer = await answer_of(_SERVICE, self._stub.Predict(request))
        except NotFound as error:
            raise _unknown(model) from error
        except Unavailable as error:
            if error.code in _FULL:
                self._room.shrink(error.retry_after or 0.0)
            raise
        saturated = [
            outcome.error.retry_after.ToNanoseconds() / 1e9
            for outcome in answer.outcomes
            if outcome.error.reason == pb.ITEM_ERROR_REASON_SATURATED
        ]
        if saturated:
            self._room.shrink(max(saturated))
        self._room.answered(len(answer.outcomes) - len(saturated))
        if len(answer.outcomes) != len(request.items):
            raise UpstreamFailed("inference failed.", reason="INFERENCE_FAILED")
        return answer.outcomes

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


def _add_items(request: pb.PredictRequest, work: TextWork, left: float) -> None:
    client = work.caller.client
    for text, subject in zip(work.texts, work.subjects, strict=True):
        item = request.items.add(
            text=text,
            subject=subject,
            request_id=work.request_id,
            traceparent=work.traceparent,
        )
        item.caller.tenant = client.tenant
        item.caller.client_id = client.client_id
        item.keeping.input = INPUT_KEEPING[client.keeping.input]
        item.keeping.retention_class = client.keeping.retention_class
        item.timeout.FromNanoseconds(int(left * 1e9))


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
        input_tokens=message.input_tokens,
    )


def _version(message: pb.ModelVersion) -> ModelVersion:
    loaded_at = message.loaded_at.ToDatetime(UTC) if message.HasField("loaded_at") else None
    return ModelVersion(
        version=message.version,
        traffic_percent=message.traffic_percent,
        loaded_at=loaded_at,
        shadow=message.shadow,
        # One that an older inference describes is there when it was loaded.
        state=_STATES.get(message.state, "ready" if loaded_at else "unavailable"),
        reason=message.reason,
    )


def _model(message: pb.Model) -> Model:
    return Model(
        name=message.name,
        task=message.task,
        labels=tuple(message.labels),
        versions=tuple(_version(version) for version in message.versions),
        max_characters=message.max_characters,
        max_tokens=message.max_tokens,
    )

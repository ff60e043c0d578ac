"""Builds the service around its models: recorder → predictor → server."""

from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inference.answer_cache import AnswerCache
from inference.deployments import Deployments
from inference.grpc_api import SCOPES, SERVICE, InferenceServicer
from inference.item_spans import ItemSpans
from inference.model_control import ModelControl
from inference.oip_grpc_api import OIP_SCOPES, OIP_SERVICE, OipServicer
from inference.oip_inference import OipInference
from inference.oip_statistics import OipStatistics
from inference.predictor import Predictor
from inference.readiness import Readiness
from inference.recorder import Recorder
from inference.repository_watch import RepositoryWatch
from inference.sealing import InputSealer, load_sealing_key
from inference.served_models import ServedModels
from inference.settings import Settings
from inference.shadows import Shadows
from inference.stream_availability import StreamAvailability
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_stream import EventPublisher
from servicekit.garbage import keep_what_is_there
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.late_http import LateHttp
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.events.v1.events_pb2 import TokensRevoked
from weir.inference.v1 import inference_pb2_grpc
from weir.oip.v2 import open_inference_pb2_grpc

_STREAM_INTERVAL = 1.0


async def serve(settings: Settings, models: ServedModels) -> None:
    """Serves until a stop signal.

    Raises:
        SealingKeyInvalid: the log's public key cannot be used.
        OSError: an address cannot be listened on, or the file of that key is not there.
    """
    repository, scheduler, watch = models.repository, models.scheduler, models.watch
    key_file = settings.input_sealing_key_file
    sealing_key = load_sealing_key(key_file) if key_file else None
    tracer_provider = configure_tracing("inference", settings)
    redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
    )
    following_redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout + BLOCK
    )
    revocations = RevocationList(complete=False)
    publisher = EventPublisher(redis, reserve=settings.events_reserve)
    async with LateHttp(timeout=2.0) as http:
        with ThreadPoolExecutor(1, thread_name_prefix="sealer") as sealer:
            cache_items = settings.answer_cache_items
            recorder = Recorder(
                publisher,
                settings.predictions_stream,
                settings.when_unlogged,
                InputSealer(sealing_key, sealer) if sealing_key else None,
            )
            shadows = Shadows(
                repository,
                scheduler,
                recorder,
                new_id,
                most_waiting=settings.max_waiting_shadows,
            )
            predictor = Predictor(
                repository,
                recorder,
                AnswerCache(scheduler, cache_items) if cache_items else scheduler,
                new_id,
                max_items_per_call=settings.max_items_per_call,
                answered=shadows.offer,
                spans=ItemSpans(tracer_provider),
            )
            server = GrpcServer(
                settings,
                verifier=AccessTokenVerifier(
                    RemoteKeySource(settings.jwks_url, http),
                    issuer=settings.issuer,
                    audience=settings.audience,
                    further_audiences=settings.further_audiences.split(","),
                    revocations=revocations,
                ),
                scopes={**SCOPES, **OIP_SCOPES},
                tracer_provider=tracer_provider,
                held=True,
            )
            servicer = InferenceServicer(predictor, repository)
            inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server.grpc)
            server.expose(SERVICE)
            readiness = Readiness(
                server,
                repository,
                service=SERVICE,
                may_predict_unrecorded=settings.when_unlogged == "serve_unlogged",
            )
            deployments = Deployments(
                repository,
                publisher,
                stream=settings.deployments_stream,
                instance=settings.instance,
                new_id=new_id,
            )

            async def settled() -> None:
                deployments.note()
                await readiness.tell()

            statistics = OipStatistics()
            oip = OipServicer(
                OipInference(
                    predictor, repository, statistics, most_rows=settings.max_items_per_call
                ),
                repository,
                ModelControl(repository, watch, settings.model_control),
                statistics,
                is_ready=lambda: readiness.predicts,
                answer_timeout=settings.grpc_default_timeout,
            )
            open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(oip, server.grpc)
            server.expose(OIP_SERVICE)
            follower = RevocationFollower(
                following_redis,
                revocations,
                stream=settings.revocations_stream,
                message=TokensRevoked,
                first_read=server.release,
            )
            serve_metrics(settings.metrics_address)
            await watch.tell(settled)
            keep_what_is_there()
            async with scheduler, server:
                await readiness.tell()
                await run_until_stopped(
                    follower.run(),
                    every(
                        _STREAM_INTERVAL,
                        StreamAvailability(publisher, readiness.stream_changed).look,
                    ),
                    deployments.publish(),
                    shadows.work(),
                    *_polling(watch, settings.model_poll_interval),
                )
    await redis.aclose()
    await following_redis.aclose()
    tracer_provider.shutdown()


def _polling(watch: RepositoryWatch, interval: float) -> Iterator[Coroutine[Any, Any, None]]:
    if interval:
        yield every(interval, watch.look)

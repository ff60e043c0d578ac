"""`python -m inference`: settings → models → recorder → predictor → server."""

import argparse
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from inference.admission import Limits
from inference.answer_cache import AnswerCache
from inference.cpu_limit import available_cores
from inference.deployments import Deployments
from inference.grpc_api import SCOPES, SERVICE, InferenceServicer
from inference.item_spans import ItemSpans
from inference.model_control import ModelControl
from inference.model_repository import ModelRepository
from inference.oip_grpc_api import OIP_SCOPES, OIP_SERVICE, OipServicer
from inference.oip_inference import OipInference
from inference.oip_statistics import OipStatistics
from inference.predictor import Predictor
from inference.readiness import Readiness
from inference.recorder import Recorder
from inference.repository_watch import RepositoryWatch
from inference.scheduler import Scheduler
from inference.sealing import InputSealer, SealingKeyInvalid, load_sealing_key
from inference.settings import Settings
from inference.shadows import Shadows
from inference.stream_availability import StreamAvailability
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_stream import EventPublisher
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.events.v1.events_pb2 import TokensRevoked
from weir.inference.v1 import inference_pb2_grpc
from weir.oip.v2 import open_inference_pb2_grpc

_STREAM_INTERVAL = 1.0
_SWITCH_INTERVAL = 0.0005
"""Longest that a thread whose batch is done waits for the interpreter, seconds. By default it is
5 ms, as long as a short text takes, and its core would be idle."""


class RepositoryMissing(Exception):
    """The model repository is no directory."""


async def serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        RepositoryMissing: there is no model repository.
        SealingKeyInvalid: the log's public key cannot be used.
        OSError: an address cannot be listened on, or the file of that key is not there.
    """
    if not settings.model_repository.is_dir():
        raise RepositoryMissing(
            f"WEIR_MODEL_REPOSITORY: {settings.model_repository} is no directory"
        )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    key_file = settings.input_sealing_key_file
    sealing_key = load_sealing_key(key_file) if key_file else None
    tracer_provider = configure_tracing("inference", settings)
    repository = ModelRepository()
    redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
    )
    following_redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout + BLOCK
    )
    revocations = RevocationList(complete=False)
    publisher = EventPublisher(redis, reserve=settings.events_reserve)
    threads = settings.model_threads or available_cores()
    async with httpx.AsyncClient(timeout=2.0) as http:
        with (
            ThreadPoolExecutor(1, thread_name_prefix="sealer") as sealer,
            ThreadPoolExecutor(1, thread_name_prefix="loader") as loader,
        ):
            limits = Limits(
                settings.max_waiting_items,
                settings.max_waiting_seconds,
                short_queue=settings.max_items_per_call,
            )
            scheduler = Scheduler(threads, limits)
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

            watch = RepositoryWatch(
                settings.model_repository, repository, loader, settled, scheduler.warm_up
            )
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
            await watch.look()
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


def main() -> int:
    """Runs the service; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="inference",
        description="Runs model packages and records every prediction.",
        epilog=describe_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.parse_args()
    return run_service(
        "inference", Settings, serve, expected=(RepositoryMissing, SealingKeyInvalid)
    )


if __name__ == "__main__":
    sys.exit(main())

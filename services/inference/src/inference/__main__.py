"""`python -m inference`: settings → models → recorder → predictor → server."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

from inference.cpu_limit import available_cores
from inference.deployments import announce
from inference.grpc_api import SCOPES, SERVICE, InferenceServicer
from inference.model_repository import load_repository
from inference.package import PackageInvalid
from inference.predictor import Predictor
from inference.recorder import Recorder
from inference.scheduler import Scheduler
from inference.sealing import InputSealer, SealingKeyInvalid, load_sealing_key
from inference.settings import Settings
from inference.stream_availability import StreamAvailability
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_stream import EventPublisher
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.inference.v1 import inference_pb2_grpc

_STREAM_INTERVAL = 1.0


async def serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        PackageInvalid: a model must not serve.
        SealingKeyInvalid: the log's public key cannot be used.
        OSError: an address cannot be listened on, or the file of that key is not there.
    """
    key_file = settings.input_sealing_key_file
    sealing_key = load_sealing_key(key_file) if key_file else None
    tracer_provider = configure_tracing("inference", settings)
    repository = load_repository(settings.model_repository)
    redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
    )
    publisher = EventPublisher(redis, reserve=settings.events_reserve)
    threads = settings.model_threads or available_cores()
    async with httpx.AsyncClient(timeout=2.0) as http:
        with ThreadPoolExecutor(threads, thread_name_prefix="model") as executor:
            recorder = Recorder(
                publisher,
                settings.predictions_stream,
                settings.when_unlogged,
                InputSealer(sealing_key, executor) if sealing_key else None,
            )
            predictor = Predictor(
                repository,
                recorder,
                Scheduler(executor),
                new_id,
                max_items_per_call=settings.max_items_per_call,
                max_waiting_items=settings.max_waiting_items,
            )
            server = GrpcServer(
                settings,
                verifier=AccessTokenVerifier(
                    RemoteKeySource(settings.jwks_url, http),
                    issuer=settings.issuer,
                    audience=settings.audience,
                ),
                scopes=SCOPES,
                tracer_provider=tracer_provider,
            )
            servicer = InferenceServicer(predictor, repository)
            inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server.grpc)
            server.expose(SERVICE)
            serve_metrics(settings.metrics_address)
            async with server:
                await server.set_serving(True)

                async def tell(recording: bool) -> None:
                    # The server as such goes on serving: what it refuses, it refuses with a reason.
                    serving = recording or settings.when_unlogged == "serve_unlogged"
                    await server.set_serving(serving, service=SERVICE)

                await run_until_stopped(
                    every(_STREAM_INTERVAL, StreamAvailability(publisher, tell).look),
                    announce(
                        repository,
                        publisher,
                        stream=settings.deployments_stream,
                        instance=settings.instance,
                        new_id=new_id,
                    ),
                )
    await redis.aclose()
    tracer_provider.shutdown()


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
    return run_service("inference", Settings, serve, expected=(PackageInvalid, SealingKeyInvalid))


if __name__ == "__main__":
    sys.exit(main())

"""Which programs make the platform, how they find each other, and in which order they come."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weir_local.embedded_postgres import postgres_process, postgres_url
from weir_local.embedded_redis import redis_process, redis_url
from weir_local.home import Home
from weir_local.identity import Identity
from weir_local.probes import accepts_connections, answers_http
from weir_local.process import ProcessSpec
from weir_local.supervisor import Part

_STORES, _SERVICES, _EDGE = range(3)
_SERVICE_ROLE = "weir"
_INFERENCE_NICENESS = 5
"""It takes all the processor time that there is. Who lets requests in, turns them away and answers
takes a moment of it, and is worth waiting for."""
_BOOKS_NICENESS = 15
"""Of what follows the events: nobody waits for it, and it does as much a moment later."""


@dataclass(frozen=True)
class Endpoints:
    """Where the platform's parts listen."""

    http: str
    inference: str
    prediction_log: str
    drift: str
    events_redis: str
    quota_redis: str
    postgres: str
    """As the owner of the tables, who migrates."""
    postgres_service: str
    """As the service, which owns nothing."""


def endpoints_of(home: Home, port: int) -> Endpoints:
    """The addresses of the platform in a home."""
    return Endpoints(
        http=f"http://127.0.0.1:{port}",
        inference=f"unix:{home.sockets / 'inference.sock'}",
        prediction_log=f"unix:{home.sockets / 'prediction_log.sock'}",
        drift=f"unix:{home.sockets / 'drift.sock'}",
        events_redis=redis_url(home.sockets / "events.sock"),
        quota_redis=redis_url(home.sockets / "quota.sock"),
        postgres=postgres_url(home.sockets / "postgres"),
        postgres_service=postgres_url(home.sockets / "postgres", role=_SERVICE_ROLE),
    )


def store_parts(home: Home) -> list[Part]:
    """Both Redis and PostgreSQL; makes PostgreSQL's cluster at the first time.

    Raises:
        OSError, RuntimeError: the cluster cannot be made.
    """
    sockets = home.sockets
    return [
        Part(
            redis_process(
                "events-redis",
                home.redis_events,
                sockets / "events.sock",
                home.log_file("events-redis"),
                durable=True,
            ),
            stage=_STORES,
        ),
        Part(
            redis_process(
                "quota-redis",
                home.redis_quota,
                sockets / "quota.sock",
                home.log_file("quota-redis"),
                durable=False,
            ),
            stage=_STORES,
        ),
        Part(
            postgres_process(home.postgres, sockets / "postgres", home.log_file("postgres")),
            stage=_STORES,
        ),
    ]


def service_parts(
    home: Home, endpoints: Endpoints, identity: Identity, *, models: Path, port: int
) -> list[Part]:
    """The services; what needs no store starts beside the stores."""
    shared = {
        "WEIR_EVENTS_REDIS_URL": endpoints.events_redis,
        "WEIR_JWKS_URL": f"{endpoints.http}/.well-known/jwks.json",
        "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
        "WEIR_MODEL_REPOSITORY": str(models),
        **_unless_set("WEIR_ISSUER", endpoints.http),
        **({} if os.environ.get("WEIR_OTLP_ENDPOINT") else _trace_to(home.trace_file)),
        **_without_proxy(os.environ),
    }
    database = {"WEIR_DATABASE_URL": endpoints.postgres_service}
    sealing = {"WEIR_INPUT_SEALING_KEY_FILE": str(identity.input_sealing_key)}
    log_keys = {
        "WEIR_INPUT_SEALING_PRIVATE_KEY_FILE": str(identity.input_sealing_private_key),
        "WEIR_MASTER_KEYS_FILE": str(identity.master_keys),
        "WEIR_SUBJECT_SECRET_FILE": str(identity.subject_secret),
        "WEIR_AUDIT_SIGNING_KEY_FILE": str(identity.audit_signing_key),
    }

    def service(
        name: str, address: str, environment: Mapping[str, str], niceness: int = 0
    ) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            command=_python("-m", name),
            log_file=home.log_file(name),
            environment={**shared, **environment, "WEIR_GRPC_ADDRESS": address},
            niceness=niceness,
            ready=lambda: accepts_connections(Path(address.removeprefix("unix:"))),
        )

    gateway = ProcessSpec(
        name="gateway",
        command=_python("-m", "gateway"),
        log_file=home.log_file("gateway"),
        environment={
            **shared,
            "WEIR_HTTP_HOST": "127.0.0.1",
            "WEIR_HTTP_PORT": str(port),
            "WEIR_QUOTA_REDIS_URL": endpoints.quota_redis,
            # Seven processes share this machine's cores: a pause of theirs is no outage of Redis.
            **_unless_set("WEIR_QUOTA_TIMEOUT", "0.1"),
            "WEIR_INFERENCE_TARGET": endpoints.inference,
            "WEIR_PREDICTION_LOG_TARGET": endpoints.prediction_log,
            "WEIR_DRIFT_TARGET": endpoints.drift,
            "WEIR_SIGNING_KEYS_DIR": str(identity.signing_keys),
            "WEIR_CLIENTS_FILE": str(identity.clients),
            "WEIR_PEPPER_FILE": str(identity.pepper),
        },
        ready=lambda: answers_http(f"{endpoints.http}/health/live"),
    )
    migration = ProcessSpec(
        name="migrations",
        command=_python(
            "-m", "prediction_log", "migrate", "--grant-to", _SERVICE_ROLE, "--make-role"
        ),
        log_file=home.log_file("migrations"),
        environment={**shared, "WEIR_DATABASE_URL": endpoints.postgres},
    )
    return [
        Part(
            service("inference", endpoints.inference, sealing, _INFERENCE_NICENESS),
            stage=_SERVICES,
        ),
        Part(migration, stage=_SERVICES, needs=("postgres",), once=True),
        Part(
            # It waits for its schema by itself; started after the migrations, it would be the one
            # that all the others wait for.
            service(
                "prediction_log", endpoints.prediction_log, database | log_keys, _BOOKS_NICENESS
            ),
            stage=_SERVICES,
        ),
        Part(service("drift", endpoints.drift, {}, _BOOKS_NICENESS), stage=_SERVICES),
        Part(gateway, stage=_EDGE),
    ]


def _python(*arguments: str) -> list[str]:
    # -P: a folder of the same name in the current directory is not the service.
    return [sys.executable, "-P", *arguments]


def _unless_set(name: str, value: str) -> dict[str, str]:
    return {} if os.environ.get(name) else {name: value}


def _trace_to(file: Path) -> dict[str, str]:
    return _unless_set("WEIR_TRACE_FILE", str(file))


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """A proxy that the machine is set up to use must not get calls between the services."""
    hosts = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = ",".join(filter(None, (hosts, "127.0.0.1", "localhost")))
    return {"no_proxy": hosts, "NO_PROXY": hosts}

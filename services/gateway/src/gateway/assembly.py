"""Puts the service together: settings → adapters → decisions → application."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from gateway.access import BearerAccess
from gateway.admin_assembly import admin_routes
from gateway.app import build_app, posts_of
from gateway.audit_client import AuditClient
from gateway.audit_routes import audit_routes
from gateway.audit_trail import AuditTrail
from gateway.coalescer import Bounds
from gateway.direct_routes import OpenDirectRoute
from gateway.docs_routes import docs_routes
from gateway.drift_client import DriftClient
from gateway.drift_routes import drift_routes
from gateway.early_refusals import EarlyRefusals
from gateway.export_client import ExportClient
from gateway.export_routes import export_routes
from gateway.feedback_client import FeedbackClient
from gateway.feedback_routes import feedback_routes
from gateway.followed_issuers import followed_issuers
from gateway.guarded_channel import guarded
from gateway.health_checks import HealthChecks, grpc_check
from gateway.idempotency import Idempotency
from gateway.idempotency_store import IdempotencyStore
from gateway.identity_assembly import declared_identity
from gateway.incident_client import IncidentClient
from gateway.incident_routes import incident_routes
from gateway.inference_client import InferenceClient
from gateway.key_directory import followed_signing_keys
from gateway.log_routes import log_routes
from gateway.model_catalogue import ModelCatalogue
from gateway.model_routes import model_routes
from gateway.oauth_routes import oauth_routes, token_answers
from gateway.operations_routes import operations_routes
from gateway.prediction_log_client import PredictionLogClient
from gateway.prediction_routes import PredictionRoutes
from gateway.predictor import Predictor
from gateway.privacy_client import PrivacyClient
from gateway.privacy_routes import privacy_routes
from gateway.quota_entries import default_quotas
from gateway.quota_meter import QuotaMeter
from gateway.redis_quota import RedisQuota
from gateway.reference_client import ReferenceClient
from gateway.reference_routes import reference_routes
from gateway.refusal_counts import RefusalCounts
from gateway.revocation_publisher import RevocationPublisher
from gateway.room import Room
from gateway.settings import Settings
from gateway.stats_client import StatsClient
from gateway.stats_routes import stats_routes
from gateway.token_assembly import authorization_server
from gateway.token_issuer import ServiceToken, TokenIssuer
from gateway.v2_client import V2Client
from gateway.v2_inference import V2Inference
from gateway.v2_repository_routes import v2_extension_routes, v2_repository_routes
from gateway.v2_routes import v2_health_routes, v2_infer_routes, v2_model_routes
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.event_stream import EventPublisher
from servicekit.grpc_client import open_channel
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from weir.events.v1.events_pb2 import TokensRevoked

_LEASE_MARGIN = 5.0
"""Seconds that a request with an Idempotency-Key holds it beyond the longest that it may take."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application and the work beside it."""

    app: FastAPI
    early: EarlyRefusals
    refusal_counts: RefusalCounts
    audit: AuditTrail
    revocations: RevocationFollower


@asynccontextmanager
async def assembled(settings: Settings, tracer_provider: TracerProvider) -> AsyncIterator[Gateway]:
    """The gateway, its connections open until the context ends; they connect when first used.

    Raises:
        SigningKeyInvalid: the signing keys cannot be used.
        ClientsFileInvalid: the clients file cannot be used.
        PepperInvalid: the pepper cannot be used.
        BootstrapSecretInvalid: the bootstrap secret cannot be used.
        TrustedIssuersFileInvalid: the file of external issuers cannot be used.
        CertificateInvalid: a file that calls over TLS need cannot be used.
    """
    revocations = RevocationList(complete=False)
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(followed_signing_keys(settings.signing_keys_dir))
        issuer = TokenIssuer(
            keys,
            issuer=settings.issuer,
            audience=settings.audience,
            lifetime=settings.token_lifetime,
        )
        verifier = AccessTokenVerifier(
            keys,
            issuer=settings.issuer,
            audience=settings.audience,
            further_audiences=settings.further_audiences.split(","),
            revocations=revocations,
        )
        events_redis = open_redis(
            settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
        )
        stack.push_async_callback(events_redis.aclose)
        publisher = EventPublisher(events_redis, reserve=settings.events_reserve)
        audit = AuditTrail(publisher, stream=settings.audit_stream, capacity=settings.audit_queue)
        identity = declared_identity(settings, events_redis)
        external = await stack.enter_async_context(
            followed_issuers(
                settings.trusted_issuers_file,
                default_quotas(settings.quota_per_minute, settings.quota_per_hour),
                own_issuer=settings.issuer,
            )
        )
        access = BearerAccess(verifier, identity.registry, identity.keys, audit, external)
        token = ServiceToken(issuer)
        inference_channel, log_channel, drift_channel = [
            guarded(
                await stack.enter_async_context(
                    open_channel(
                        target,
                        token=token,
                        default_timeout=settings.request_timeout,
                        tracer_provider=tracer_provider,
                        tls=settings,
                    )
                ),
                backend,
                pause=settings.breaker_pause,
                slow=settings.request_timeout / 2,
            )
            for backend, target in (
                ("inference", settings.inference_target),
                ("prediction_log", settings.prediction_log_target),
                ("drift", settings.drift_target),
            )
        ]
        quota_redis = open_redis(
            settings.quota_redis_url.get_secret_value(), timeout=settings.quota_timeout
        )
        stack.push_async_callback(quota_redis.aclose)
        following_redis = open_redis(
            settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout + BLOCK
        )
        stack.push_async_callback(following_redis.aclose)
        follower = RevocationFollower(
            following_redis,
            revocations,
            stream=settings.revocations_stream,
            message=TokensRevoked,
        )

        shared_quota = RedisQuota(
            quota_redis, timeout=settings.quota_timeout, lease=settings.quota_lease
        )
        meter = QuotaMeter(
            shared_quota,
            replicas=settings.replicas,
            retry_interval=settings.quota_retry_interval,
            lease=settings.quota_lease,
        )
        stack.push_async_callback(meter.aclose)
        server = authorization_server(
            settings,
            keys=keys,
            issuer=issuer,
            registry=identity.registry,
            verifier_for=lambda audience: AccessTokenVerifier(
                keys, issuer=settings.issuer, audience=audience, revocations=revocations
            ),
            events_redis=events_redis,
            revoker=RevocationPublisher(
                publisher,
                events_redis,
                stream=settings.revocations_stream,
                revoked=revocations,
            ),
        )
        inference = InferenceClient(
            inference_channel,
            Bounds(
                calls=settings.inference_calls,
                most_calls=settings.inference_most_calls,
                items_per_call=settings.inference_items_per_call,
            ),
            Room(settings.inference_items),
            longest_wait=settings.request_timeout,
        )
        v2 = V2Client(inference_channel)
        catalogue = ModelCatalogue(inference, lifetime=settings.model_cache_seconds)
        health = HealthChecks(
            reachable=grpc_check(inference_channel),
            inference=grpc_check(inference_channel, InferenceClient.SERVICE),
            others={
                "models": grpc_check(inference_channel, InferenceClient.MODELS),
                "events": publisher.check,
                "identity": identity.directory.check,
                "prediction_log": grpc_check(log_channel),
                "drift": grpc_check(drift_channel),
                "quota": shared_quota.ping,
            },
            admits=lambda: revocations.complete,
            timeout=settings.health_timeout,
            lifetime=settings.health_cache_seconds,
        )
        idempotency = Idempotency(
            IdempotencyStore(
                quota_redis,
                identity.directory.declared.pepper.newest,
                lease=settings.request_timeout + _LEASE_MARGIN,
                lifetime=settings.idempotency_lifetime,
            ),
            max_body_bytes=settings.max_body_bytes,
        )
        predictions = PredictionRoutes(
            Predictor(inference, catalogue, meter),
            default_model=settings.default_model,
            max_body_bytes=settings.max_body_bytes,
            max_batch=settings.max_batch,
            idempotency=idempotency,
        )
        described, direct = predictions.described(access), predictions.direct(access)
        counts = RefusalCounts()
        stack.callback(counts.tell)
        early = EarlyRefusals(direct, posts_of([described]), access, inference.check_room, counts)
        app = build_app(
            [
                described,
                model_routes(access, inference, catalogue),
                v2_health_routes(health),
                v2_infer_routes(
                    access,
                    V2Inference(v2, meter, catalogue),
                    idempotency,
                    max_body_bytes=settings.max_body_bytes,
                ),
                # Before the models' own: one of them has a path that could be a model's.
                v2_extension_routes(access, v2),
                v2_model_routes(access, v2),
                v2_repository_routes(access, v2, audit, max_body_bytes=settings.max_body_bytes),
                export_routes(
                    access,
                    ExportClient(log_channel, timeout=settings.export_timeout),
                    meter,
                    audit,
                    timeout=settings.export_timeout,
                ),
                log_routes(access, PredictionLogClient(log_channel), audit),
                stats_routes(access, StatsClient(log_channel)),
                feedback_routes(
                    access, FeedbackClient(log_channel), max_body_bytes=settings.max_body_bytes
                ),
                privacy_routes(
                    access,
                    PrivacyClient(log_channel),
                    idempotency,
                    audit,
                    max_body_bytes=settings.max_body_bytes,
                ),
                audit_routes(access, AuditClient(log_channel), audit),
                drift_routes(
                    access, DriftClient(drift_channel), max_body_bytes=settings.max_body_bytes
                ),
                incident_routes(
                    access,
                    IncidentClient(drift_channel),
                    audit,
                    max_body_bytes=settings.max_body_bytes,
                ),
                reference_routes(
                    access,
                    ReferenceClient(drift_channel),
                    audit,
                    max_body_bytes=settings.max_body_bytes,
                ),
                *admin_routes(access, identity, audit, idempotency, settings),
                oauth_routes(server, audit),
                operations_routes(health),
                docs_routes(),
            ],
            direct=[
                *direct,
                OpenDirectRoute("/oauth2/token", token_answers(server, audit)),
            ],
            when_full=early.expect,
            request_timeout=settings.request_timeout,
            cors_origins=settings.allowed_origins(),
            tracer_provider=tracer_provider,
        )
        # Last: until here whatever is wrong with the settings is told, and nothing else.
        await stack.enter_async_context(identity.followed())
        yield Gateway(app, early, counts, audit, follower)

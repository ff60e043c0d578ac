"""A token that was revoked is refused by every process within a second; every method is guarded."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as reflection
from grpc_reflection.v1alpha import reflection_pb2_grpc
from redis import Redis

from testkit.platform import Platform, wait_until
from weir.drift.v1 import drift_pb2, drift_pb2_grpc
from weir.events.v1.events_pb2 import TokensRevoked
from weir.inference.v1 import inference_pb2, inference_pb2_grpc
from weir.predictions.v1 import predictions_pb2, predictions_pb2_grpc

Probe = Callable[[str], str]
"""Asks a process with a token; the status or code of its answer."""
REFUSED = {"401", "UNAUTHENTICATED"}
OPEN = {
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
}


@pytest.fixture
def probes(platform: Platform) -> Iterator[dict[str, Probe]]:
    """One way to ask each process."""
    ends = platform.endpoints
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(base_url=ends.http, timeout=20.0))

        def rest(token: str) -> str:
            headers = {"Authorization": f"Bearer {token}"}
            return str(http.get("/v1/models", headers=headers).status_code)

        def direct(target: str, stub: Any, method: str, request: Any) -> Probe:
            call = getattr(stub(stack.enter_context(grpc.insecure_channel(target))), method)

            def ask(token: str) -> str:
                try:
                    call(request, metadata=(("authorization", f"Bearer {token}"),), timeout=20)
                except grpc.RpcError as error:
                    return str(error.code().name)
                return "OK"

            return ask

        yield {
            "gateway": rest,
            "inference": direct(
                ends.inference,
                inference_pb2_grpc.InferenceServiceStub,
                "ListModels",
                inference_pb2.ListModelsRequest(),
            ),
            "prediction_log": direct(
                ends.prediction_log,
                predictions_pb2_grpc.PredictionLogServiceStub,
                "ListPredictions",
                predictions_pb2.ListPredictionsRequest(),
            ),
            "drift": direct(
                ends.drift,
                drift_pb2_grpc.DriftServiceStub,
                "GetReport",
                drift_pb2.GetReportRequest(model="sentiment"),
            ),
        }


def new_token(platform: Platform) -> str:
    answer = httpx.post(
        f"{platform.endpoints.http}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=platform.client_credentials(),
    )
    return str(answer.raise_for_status().json()["access_token"])


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def tell(platform: Platform, event: TokensRevoked) -> None:
    redis = Redis.from_url(platform.endpoints.events_redis)
    fields: Any = {"type": TokensRevoked.DESCRIPTOR.full_name, "data": event.SerializeToString()}
    redis.xadd("weir:revocations", fields)
    redis.close()


def test_revoked_token_is_refused_by_every_process_within_a_second(
    platform: Platform, probes: dict[str, Probe]
) -> None:
    token, other = new_token(platform), new_token(platform)
    for name, probe in probes.items():
        assert probe(token) not in REFUSED, name
    event = TokensRevoked(token_id=claims_of(token)["jti"])
    event.occurred_at.GetCurrentTime()
    event.expires_at.FromSeconds(claims_of(token)["exp"])
    tell(platform, event)
    wait_until(
        lambda: all(probe(token) in REFUSED for probe in probes.values()), "refused", within=1.0
    )
    for name, probe in probes.items():
        assert probe(other) not in REFUSED, name


def services_at(target: str) -> dict[str, descriptor_pb2.ServiceDescriptorProto]:
    """The services that a server's reflection tells of, by their full name."""
    found = {}
    with grpc.insecure_channel(target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection.ServerReflectionRequest
        (listed,) = stub.ServerReflectionInfo(iter([ask(list_services="")]), timeout=20)
        for service in listed.list_services_response.service:
            wanted = ask(file_containing_symbol=service.name)
            (answer,) = stub.ServerReflectionInfo(iter([wanted]), timeout=20)
            for data in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                found |= {f"{file.package}.{each.name}": each for each in file.service}
    return found


@pytest.mark.parametrize("name", ["inference", "prediction_log", "drift"])
def test_every_method_that_a_server_has_asks_for_a_token(platform: Platform, name: str) -> None:
    target = getattr(platform.endpoints, name)
    asked = 0
    with grpc.insecure_channel(target) as channel:
        for service, described in services_at(target).items():
            if service.startswith("grpc."):
                continue
            for method in described.method:
                path = f"/{service}/{method.name}"
                if path in OPEN:
                    continue
                with pytest.raises(grpc.RpcError) as caught:
                    list(channel.stream_stream(path)(iter([b""]), timeout=20))
                # A method without a scope would be PERMISSION_DENIED, even without a token.
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, path
                asked += 1
    assert asked > 0

"""Predictions that were made elsewhere, from a client's own gRPC call to the REST answer."""

import grpc
import httpx

from servicekit.identifiers import new_id, time_of
from testkit.platform import Platform, wait_until
from weir.predictions.v1 import predictions_pb2, predictions_pb2_grpc


def test_prediction_made_elsewhere_is_in_the_tenants_log(
    platform: Platform, api: httpx.Client
) -> None:
    identifier = new_id()
    record = predictions_pb2.AppendRecord(
        prediction_id=str(identifier),
        model="nightly-topics",
        model_version="7",
        input_sha256=bytes(32),
        label="sport",
        probabilities={"sport": 0.75, "politics": 0.25},
    )
    record.predicted_at.FromDatetime(time_of(identifier))
    request = predictions_pb2.AppendRequest(records=[record])
    with grpc.insecure_channel(platform.endpoints.prediction_log) as channel:
        stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)
        metadata = (("authorization", f"Bearer {platform.token()}"),)
        answer = stub.Append(iter([request, request]), metadata=metadata, timeout=20)
    assert (answer.accepted, answer.rejected) == (2, 0)
    path = f"/v1/predictions/{identifier}"
    wait_until(lambda: api.get(path).status_code == 200, path, within=5.0)
    row = api.get(path).json()
    assert (row["model"], row["label"], row["confidence"]) == ("nightly-topics", "sport", 0.75)
    assert row["client_id"] == "demo"
    assert row["delegate_id"] is None
    found = api.get("/v1/predictions", params={"model": "nightly-topics"}).json()["predictions"]
    assert [each["prediction_id"] for each in found] == [str(identifier)]
    assert api.get("/health").json()["status"] == "healthy"

"""GET /v1/models, /v1/predictions, /v1/stats and drift reports."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import FieldViolation, InvalidInput, NotFound, PermissionDenied
from weir.drift.v1 import drift_pb2
from weir.predictions.v1 import predictions_pb2

from .backends import PREDICTED_AT, PREDICTION_ID, Backends
from .conftest import Call
from .test_predict import refused, wrong_field

LOGGED = {
    "prediction_id": PREDICTION_ID,
    "predicted_at": "2026-09-21T14:13:20Z",
    "model": "sentiment",
    "model_version": "1",
    "client_id": "client-1",
    "delegate_id": "weir-gateway",
    "request_id": "r-1",
    "input_sha256": "ab" * 32,
    "input_characters": 22,
    "input_tokens": 7,
    "label": "positive",
    "confidence": 0.75,
    "probabilities": {"negative": 0.25, "positive": 0.75},
    "inference_ms": 3.5,
    "feedback": None,
    "input_keeping": "nothing",
    "erased": False,
    "shadow": False,
}


async def test_models_are_listed(get: Call) -> None:
    models = (await get("/v1/models")).json()["models"]
    assert [model["name"] for model in models] == ["sentiment", "broken", "table"]
    assert models[0]["labels"] == ["negative", "positive"]
    assert models[0]["versions"] == [
        {
            "version": "1",
            "traffic_percent": 100,
            "loaded_at": "2026-09-21T14:13:20Z",
            "state": "ready",
            "shadow": False,
            "reason": "",
        }
    ]


async def test_version_that_cannot_serve_says_why(get: Call) -> None:
    model = (await get("/v1/models/broken")).json()
    assert (model["task"], model["labels"]) == ("", [])
    (version,) = model["versions"]
    assert (version["state"], version["loaded_at"]) == ("unavailable", None)
    assert version["reason"] == "broken/2: a golden example is off"


async def test_model_is_described(get: Call) -> None:
    assert (await get("/v1/models/sentiment")).json()["max_characters"] == 5000


async def test_unknown_model_is_not_found(get: Call) -> None:
    refused(await get("/v1/models/nonsense"), 404, "MODEL_NOT_FOUND")


async def test_predictions_are_listed_with_a_cursor(get: Call, backends: Backends) -> None:
    backends.log.next_cursor = "next"
    assert (await get("/v1/predictions")).json() == {
        "predictions": [LOGGED],
        "next_cursor": "next",
    }


async def test_last_page_has_no_cursor(get: Call) -> None:
    assert (await get("/v1/predictions")).json()["next_cursor"] is None


async def test_filters_reach_the_log_with_the_tokens_tenant(get: Call, backends: Backends) -> None:
    await get(
        "/v1/predictions",
        limit="7",
        cursor="c",
        model="sentiment",
        version="2",
        label="negative",
        client_id="x",
        has_feedback="false",
        min_confidence="0.25",
        max_confidence="0.5",
        shadow="true",
        input_sha256="ab" * 32,
        tenant="tenant-2",
        **{"from": "2026-09-21T16:13:20+02:00", "before": "2026-09-21T14:13:21Z"},
    )
    (request,) = backends.log.calls.requests
    assert request == predictions_pb2.ListPredictionsRequest(
        tenant="tenant-1",
        limit=7,
        cursor="c",
        filter=predictions_pb2.PredictionFilter(
            model="sentiment",
            model_version="2",
            label="negative",
            client_id="x",
            predicted_from=PREDICTED_AT,
            predicted_before=Timestamp(seconds=PREDICTED_AT.seconds + 1),
            has_feedback=False,
            confidence_from=0.25,
            confidence_to=0.5,
            shadow=True,
            input_sha256="ab" * 32,
        ),
    )
    (principal,) = backends.log.calls.principals
    assert principal.client_id == "weir-gateway"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "many"),
        ("from", "yesterday"),
        ("before", "2026-09-21T14:13:20"),
        ("has_feedback", "perhaps"),
        ("label", "\x00"),
        ("min_confidence", "-0.1"),
        ("max_confidence", "nan"),
        ("shadow", "perhaps"),
        ("input_sha256", "ab"),
        ("cursor", "x" * 513),
    ],
)
async def test_bad_query_is_named(get: Call, name: str, value: str) -> None:
    wrong_field(await get("/v1/predictions", **{name: value}), name)


async def test_cursor_that_the_log_refuses_is_422(get: Call, backends: Backends) -> None:
    backends.log.calls.failure = InvalidInput(
        "Bad.", violations=[FieldViolation("cursor", "is none of ours")]
    )
    wrong_field(await get("/v1/predictions", cursor="x"), "cursor")


async def test_filter_that_the_log_refuses_has_the_querys_name(
    get: Call, backends: Backends
) -> None:
    backends.log.calls.failure = InvalidInput(
        "Bad.", violations=[FieldViolation("filter.predicted_from", "is out of range")]
    )
    wrong_field(await get("/v1/stats"), "from")


async def test_prediction_with_feedback_is_shown(get: Call, backends: Backends) -> None:
    backends.log.prediction.feedback.CopyFrom(
        predictions_pb2.Feedback(
            feedback_id="f", given_at=PREDICTED_AT, client_id="client-1", score=0.0
        )
    )
    assert (await get(f"/v1/predictions/{PREDICTION_ID}")).json()["feedback"] == {
        "feedback_id": "f",
        "given_at": "2026-09-21T14:13:20Z",
        "client_id": "client-1",
        "correct_label": None,
        "score": 0.0,
        "comment": None,
    }


async def test_prediction_that_the_log_lacks_is_not_found(get: Call, backends: Backends) -> None:
    backends.log.calls.failure = NotFound("No.")
    refused(await get(f"/v1/predictions/{PREDICTION_ID}"), 404, "PREDICTION_NOT_FOUND")


async def test_malformed_prediction_id_is_not_found(get: Call) -> None:
    refused(await get("/v1/predictions/nonsense"), 404, "PREDICTION_NOT_FOUND")


async def test_log_down_is_503(get: Call, backends: Backends) -> None:
    await backends.stop("log")
    answer = await get("/v1/stats")
    refused(answer, 503, "PREDICTION_LOG_UNAVAILABLE")
    assert "retry-after" in answer.headers


async def test_log_that_refuses_the_gateway_is_502(get: Call, backends: Backends) -> None:
    backends.log.calls.failure = PermissionDenied("Not you.")
    refused(await get("/v1/stats"), 502, "PREDICTION_LOG_FAILED")


async def test_drift_report_is_plain_json(get: Call, backends: Backends) -> None:
    backends.drift.report = drift_pb2.Report(
        model="sentiment",
        model_version="1",
        generated_at=PREDICTED_AT,
        reference=drift_pb2.Reference(source="validation", rows=1000, reference_id="package"),
        window=drift_pb2.Window(first_predicted_at=PREDICTED_AT, rows=3, capacity=500),
        signals=[
            drift_pb2.Signal(
                name="input_tokens",
                status=drift_pb2.SIGNAL_STATUS_MEASURED,
                number=drift_pb2.NumberComparison(
                    reference=drift_pb2.NumberSummary(rows=1000, mean=21.5, maximum=float("inf")),
                    window=drift_pb2.NumberSummary(mean=float("nan")),
                    ks_distance=0.25,
                    mean_difference=drift_pb2.Estimate(value=1, lower=0.5, upper=1.5),
                ),
            ),
            drift_pb2.Signal(
                name="unknown_token_rate",
                ratio=drift_pb2.RatioComparison(
                    reference=drift_pb2.RatioSummary(rows=2, numerator=1, denominator=4)
                ),
            ),
            drift_pb2.Signal(
                name="label",
                status=drift_pb2.SIGNAL_STATUS_MEASURED,
                category=drift_pb2.CategoryComparison(
                    reference={"positive": 500},
                    window={"positive": 1},
                    share_differences={
                        "positive": drift_pb2.Estimate(value=0.5, lower=0.1, upper=0.9)
                    },
                ),
            ),
        ],
        feedback=drift_pb2.FeedbackSummary(labelled=2, accuracy=0.5),
        verdicts=[
            drift_pb2.Verdict(
                signal="input_tokens",
                group="text",
                state=drift_pb2.VERDICT_STATE_DRIFT,
                rows=500,
                reference_rows=1000,
                effect=drift_pb2.Estimate(value=0.4, lower=0.3, upper=0.5),
                p_value=0.001,
                minimum_detectable_effect=0.2,
            ),
            drift_pb2.Verdict(
                signal="label", group="output", state=drift_pb2.VERDICT_STATE_NOT_ENOUGH_DATA
            ),
        ],
        impact=drift_pb2.Impact(
            accuracy=drift_pb2.Estimate(value=0.8, lower=0.75, upper=0.85),
            reference_accuracy=0.9,
            expected_loss=0.1,
            recalibrated=True,
        ),
    )
    report = (await get("/v1/drift/models/sentiment/reports/latest", version="1")).json()
    assert report["reference"] == {
        "source": "validation",
        "rows": 1000,
        "reference_id": "package",
    }
    assert report["window"] == {
        "first_predicted_at": "2026-09-21T14:13:20Z",
        "last_predicted_at": None,
        "rows": 3,
        "capacity": 500,
    }
    tokens, unknown, label = report["signals"]
    assert tokens["status"] == "measured"
    assert (tokens["number"]["reference"]["mean"], tokens["number"]["ks_distance"]) == (21.5, 0.25)
    assert tokens["number"]["reference"]["maximum"] is None
    assert tokens["number"]["window"]["mean"] is None
    assert tokens["number"]["mean_difference"] == {"value": 1.0, "lower": 0.5, "upper": 1.5}
    assert tokens["ratio"] is None
    assert unknown["status"] == "not_enough_data"
    assert unknown["ratio"]["reference"]["denominator"] == 4.0
    assert unknown["ratio"]["difference"] is None
    assert label["category"]["total_variation"] is None
    assert label["category"]["share_differences"]["positive"]["upper"] == 0.9
    assert report["feedback"]["accuracy"] == 0.5
    moved, few = report["verdicts"]
    assert (moved["signal"], moved["state"], moved["p_value"]) == ("input_tokens", "drift", 0.001)
    assert moved["effect"] == {"value": 0.4, "lower": 0.3, "upper": 0.5}
    assert (few["state"], few["effect"], few["p_value"]) == ("not_enough_data", None, None)
    assert report["impact"]["accuracy"]["lower"] == 0.75
    assert report["impact"]["expected_loss"] == 0.1
    (request,) = backends.drift.calls.requests
    assert (request.model, request.version) == ("sentiment", "1")


async def test_drift_of_an_unknown_model_is_not_found(get: Call, backends: Backends) -> None:
    backends.drift.calls.failure = NotFound("No such model.", reason="MODEL_NOT_WATCHED")
    answer = await get("/v1/drift/models/x/reports/latest")
    refused(answer, 404, "MODEL_NOT_WATCHED")


async def test_drift_of_a_malformed_model_is_not_found(get: Call) -> None:
    refused(await get("/v1/drift/models/%00/reports/latest"), 404, "MODEL_NOT_FOUND")

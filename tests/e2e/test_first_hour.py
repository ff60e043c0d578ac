"""What a newcomer does first, in the order of the README."""

import hashlib

import httpx
import pytest

from testkit.platform import Platform, wait_until


def logged(api: httpx.Client, prediction_id: str) -> httpx.Response:
    """The prediction's row, as soon as it is there; two seconds are promised."""
    path = f"/v1/predictions/{prediction_id}"
    wait_until(lambda: api.get(path).status_code == 200, path, within=2.0)
    return api.get(path)


def test_token_is_a_bearer_token_with_a_lifetime(platform: Platform) -> None:
    answer = httpx.post(
        f"{platform.endpoints.http}/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "models:predict"},
        auth=platform.client_credentials(),
    )
    content = answer.json()
    assert answer.status_code == 200
    assert content["token_type"] == "Bearer"
    assert 0 < content["expires_in"] <= 600
    assert content["scope"] == "models:predict"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("What a wonderful, moving film.", "positive"),
        ("A dull and lifeless waste of two hours.", "negative"),
    ],
)
def test_prediction_is_right_logged_and_tells_its_trace(
    api: httpx.Client, text: str, sentiment: str
) -> None:
    answer = api.post("/predict", json={"text": text, "return_probabilities": True})
    prediction = answer.json()
    assert answer.status_code == 200
    assert prediction["predicted_sentiment"] == sentiment
    assert prediction["confidence"] == prediction["probabilities"][sentiment] > 0.5
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert (prediction["model"], prediction["model_version"]) == ("sentiment", "2")
    assert prediction["inference_ms"] > 0
    assert len(answer.headers["x-trace-id"]) == 32

    row = logged(api, prediction["prediction_id"]).json()
    assert row["label"] == sentiment
    assert row["confidence"] == pytest.approx(prediction["confidence"])
    assert row["input_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert row["client_id"] == "demo"
    assert row["request_id"] == answer.headers["x-request-id"]


def test_probabilities_come_only_when_asked_for(api: httpx.Client) -> None:
    assert "probabilities" not in api.post("/predict", json={"text": "Fine."}).json()


def test_batch_answers_in_order_and_logs_each_text(api: httpx.Client) -> None:
    texts = ["I loved every minute.", "I hated every minute."] * 8
    predictions = api.post("/predict/batch", json={"texts": texts}).json()["predictions"]
    assert [each["predicted_sentiment"] for each in predictions] == ["positive", "negative"] * 8
    for each in predictions:
        assert logged(api, each["prediction_id"]).status_code == 200


def test_longest_text_is_taken(api: httpx.Client) -> None:
    assert api.post("/predict", json={"text": "fine " * 1000}).status_code == 200


def test_general_route_predicts_by_model_name(api: httpx.Client) -> None:
    answer = api.post("/v1/models/sentiment/predict", json={"text": "Splendid."})
    assert answer.json()["label"] == "positive"
    batch = api.post("/v1/models/sentiment/predict/batch", json={"texts": ["Splendid."]})
    assert batch.json()["predictions"][0]["label"] == "positive"


def test_models_are_listed(api: httpx.Client) -> None:
    (model,) = api.get("/v1/models").json()["models"]
    assert model["name"] == "sentiment"
    assert api.get("/v1/models/sentiment").json()["labels"] == ["negative", "positive"]


def test_feedback_is_kept_and_counts_in_the_statistics(api: httpx.Client) -> None:
    prediction = api.post("/predict", json={"text": "Better than I feared."}).json()
    logged(api, prediction["prediction_id"])
    path = f"/v1/predictions/{prediction['prediction_id']}"
    given = api.post(f"{path}/feedback", json={"correct_label": "positive", "score": 0.9})
    assert given.status_code == 202
    wait_until(lambda: api.get(path).json().get("feedback") is not None, "feedback", within=5.0)
    assert api.get(path).json()["feedback"]["correct_label"] == "positive"
    stats = api.get("/v1/stats").json()
    assert stats["labelled"] >= 1
    assert stats["predictions"] >= stats["labelled"]


def test_feedback_that_is_sent_again_counts_once_and_history_stays(api: httpx.Client) -> None:
    prediction = api.post("/predict", json={"text": "Worse than I hoped."}).json()
    logged(api, prediction["prediction_id"])
    path = f"/v1/predictions/{prediction['prediction_id']}/feedback"
    key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93"'}
    first, again = (
        api.post(path, json={"correct_label": "negative"}, headers=key).json() for _ in range(2)
    )
    assert first == again
    wait_until(lambda: api.get(path).json()["feedback"], "feedback", within=5.0)
    other = api.post(path, json={"correct_label": "positive"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    second = api.post(path, json={"correct_label": "positive", "comment": "Irony?"}).json()
    wait_until(lambda: len(api.get(path).json()["feedback"]) == 2, "feedback", within=5.0)
    history = api.get(path).json()
    assert [each["feedback_id"] for each in history["feedback"]] == [
        second["feedback_id"],
        first["feedback_id"],
    ]
    assert history["next_cursor"] is None


def test_list_is_newest_first_and_pages_meet(api: httpx.Client) -> None:
    for number in range(5):
        last = api.post("/predict", json={"text": f"Number {number} is the best."}).json()
    logged(api, last["prediction_id"])
    first = api.get("/v1/predictions", params={"limit": 3}).json()
    assert first["predictions"][0]["prediction_id"] == last["prediction_id"]
    second = api.get("/v1/predictions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    ids = [row["prediction_id"] for row in first["predictions"] + second["predictions"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 5


def test_drift_report_holds_the_predictions(api: httpx.Client) -> None:
    texts = [f"A pleasant surprise, part {number}." for number in range(40)]
    api.post("/predict/batch", json={"texts": texts}).raise_for_status()
    path = "/v1/drift/models/sentiment/reports/latest"
    wait_until(lambda: api.get(path).json()["window"]["rows"] >= 40, "window", within=5.0)
    report = api.get(path).json()
    assert report["model_version"] == "2"
    assert report["reference"]["rows"] > 0
    signals = {signal["name"] for signal in report["signals"]}
    assert signals == {
        *("input_tokens", "unknown_token_rate", "label", "confidence"),
        *("entropy", "margin", "script", "mixed_script_rate"),
    }
    verdicts = {verdict["signal"]: verdict for verdict in report["verdicts"]}
    # Forty times nearly the same short text is no review that the model was made for.
    assert verdicts["input_tokens"]["state"] == "drift"
    assert verdicts["input_tokens"]["p_value"] < 0.05
    assert verdicts["projection"]["state"] in ("drift", "not_enough_data")
    assert 0 < report["impact"]["reference_accuracy"] < 1


def test_health_names_every_component(platform: Platform) -> None:
    health = httpx.get(f"{platform.endpoints.http}/health").json()
    assert health["status"] == "healthy"
    assert health["model_loaded"] is True
    assert {"inference", "prediction_log", "drift"} <= set(health["components"])
    for path in ("/health/live", "/health/ready"):
        assert httpx.get(f"{platform.endpoints.http}{path}").status_code == 200

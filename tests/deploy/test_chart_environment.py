"""Variables: what the chart sets is what the services read, and what a user adds does not clash."""

import re
from typing import Any

import helm_python
import pytest
from deploy.chart_rendering import CHART, SERVICES, Rendered, render, the_container
from pydantic_settings import BaseSettings

import drift.settings
import gateway.settings
import inference.settings
import prediction_log.settings

SETTINGS: dict[str, type[BaseSettings]] = {
    "gateway": gateway.settings.Settings,
    "inference": inference.settings.Settings,
    "prediction-log": prediction_log.settings.Settings,
    "drift": drift.settings.Settings,
}
# For health checks inside the container, and for the library that fetches keys over HTTPS.
NOT_SETTINGS = {
    "WEIR_GRPC_CA_FILE",
    "WEIR_GRPC_CLIENT_CERTIFICATE_FILE",
    "WEIR_GRPC_CLIENT_KEY_FILE",
}
# What an example adds.
ADDED = {"WEIR_DATABASE_STATEMENT_CACHE_SIZE", "WEIR_PREDICTIONS_STREAMS"}
# Where a cluster wants something else than a process on a developer's machine.
DIFFERENT = {
    *("WEIR_INSTANCE", "WEIR_ISSUER", "WEIR_JWKS_URL", "WEIR_SHUTDOWN_GRACE", "WEIR_HTTP_HOST"),
    *("WEIR_REPLICAS", "WEIR_MODEL_REPOSITORY", "WEIR_INFERENCE_CALLS"),
    *("WEIR_SIGNING_KEYS_DIR", "WEIR_PEPPER_FILE", "WEIR_CLIENTS_FILE"),
}


def variables(objects: Rendered, service: str) -> dict[str, str | None]:
    return {each["name"]: each.get("value") for each in the_container(objects, service)["env"]}


@pytest.mark.parametrize("service", SERVICES)
def test_services_read_every_variable_that_the_chart_sets(rendered: Rendered, service: str) -> None:
    known = {f"WEIR_{name.upper()}" for name in SETTINGS[service].model_fields}
    assert variables(rendered, service).keys() - known <= NOT_SETTINGS | {"SSL_CERT_FILE"}


@pytest.mark.parametrize("service", SERVICES)
def test_defaults_of_the_chart_are_those_of_the_service(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_by_chart = variables(render({}), service)
    compared = {
        name: value
        for name, value in set_by_chart.items()
        if value is not None and name not in DIFFERENT and not name.endswith("_TARGET")
    }
    assert len(compared) >= 3
    for name, value in compared.items():
        monkeypatch.setenv(name, value)
    fields = SETTINGS[service].model_fields
    for name, value in set_by_chart.items():
        if name not in compared and value is not None:
            monkeypatch.setenv(name, value)
    settings = SETTINGS[service]()
    for name in compared:
        field = name.removeprefix("WEIR_").lower()
        assert getattr(settings, field) == fields[field].get_default(), name


def test_what_the_chart_sets_is_reserved(rendered: Rendered) -> None:
    for service in SERVICES:
        assert variables(rendered, service).keys() - ADDED <= reserved()


def test_a_reserved_name_is_refused_and_the_value_for_it_is_named() -> None:
    with pytest.raises(helm_python.HelmError, match=r"use predictionLog\.retention\.auditDays"):
        render({"predictionLog": {"env": {"WEIR_AUDIT_DAYS": 30}}})
    with pytest.raises(helm_python.HelmError, match="use publicUrl"):
        render({"env": {"WEIR_ISSUER": "https://elsewhere.example"}})


def test_what_a_user_adds_reaches_the_service_and_the_closer_word_holds() -> None:
    added: dict[str, Any] = {
        "env": {"WEIR_EVENTS_TIMEOUT": 3, "WEIR_EVENTS_RESERVE": 0.2},
        "predictionLog": {
            "env": {
                "WEIR_EVENTS_TIMEOUT": 4,
                "WEIR_PREDICTIONS_STREAMS": ["a", "b"],
                "WEIR_CONSUMER_GROUP": {
                    "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}
                },
            }
        },
    }
    container = the_container(render(added), "prediction-log")
    by_name = {each["name"]: each for each in container["env"]}
    assert len(by_name) == len(container["env"])
    assert by_name["WEIR_EVENTS_TIMEOUT"]["value"] == "4"
    assert by_name["WEIR_EVENTS_RESERVE"]["value"] == "0.2"
    assert by_name["WEIR_PREDICTIONS_STREAMS"]["value"] == '["a","b"]'
    assert by_name["WEIR_CONSUMER_GROUP"]["valueFrom"]["configMapKeyRef"]["name"] == "c"
    assert variables(render(added), "inference")["WEIR_EVENTS_TIMEOUT"] == "3"


def reserved() -> set[str]:
    text = (CHART / "templates" / "_environment.tpl").read_text()
    listed = text.split('define "weir.reserved"')[1]
    return set(re.findall(r"^([A-Z_]+): ", listed, re.MULTILINE))

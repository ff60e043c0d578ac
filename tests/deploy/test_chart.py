"""What holds for every object that the chart makes, and which values it refuses."""

from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from deploy.chart_rendering import CHART, EXAMPLES, Rendered, render
from deploy.object_schemas import VERSIONS, complaint


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_lint_finds_nothing(example: Path, version: str) -> None:
    values = yaml.safe_load(example.read_text())
    result = helm_python.lint(str(CHART), values, strict=True, kube_version=f"v{version}.0")
    assert result["errors"] == []
    assert [each for each in result["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_its_schema(rendered: Rendered, version: str) -> None:
    assert [why for each in rendered.objects if (why := complaint(each, version))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"apiVersion": "v1", "kind": "Sevrice", "metadata": {"name": "a"}},
        {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}},
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": "a"},
            "spec": {"selector": {}, "endpoints": [{"port": "http", "intervall": "15s"}]},
        },
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "a"},
            "spec": {
                "scaleTargetRef": {"name": "a"},
                "triggers": [{"type": "cpu", "metadata": {"value": 70}}],
            },
        },
    ],
    ids=lambda each: f"{each['kind']} {each['apiVersion']}",
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_no_schema_knows_is_found(wrong: dict[str, Any], version: str) -> None:
    assert complaint(wrong, version) != ""


def test_no_two_objects_have_the_same_name(rendered: Rendered) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered.objects]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"gatway": {}}, "gatway"),
        ({"gateway": {"replica": 2}}, "replica"),
        ({"global": {"anything": 1}}, "anything"),
        ({"gateway": {"replicas": 0}}, "replicas"),
        ({"drift": {"whenUnlogged": "block"}}, "whenUnlogged"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"inference": {"autoscaling": {"enabled": True}}}, "enabled"),
        ({"inference": {"autoscaling": {"by": "hpa"}}}, "by"),
        ({"inference": {"autoscaling": {"minReplicas": 9}}}, "below autoscaling.minReplicas"),
        ({"gateway": {"autoscaling": {"by": "adapter"}}}, "nothing waits there"),
        ({"drift": {"autoscaling": {"by": "cpu"}}}, "cannot be autoscaled"),
        ({"gateway": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "maxUnavailable"),
        ({"postgresql": {"bundled": False}}, "postgresql.existingSecret"),
        ({"redis": {"events": {"bundled": False}}}, "redis.events.existingSecret"),
        ({"models": {"source": "claim"}}, "models.existingClaim"),
        ({"models": {"source": "objectStore"}}, "models.objectStore.path"),
        ({"predictionLog": {"autoscaling": {"by": "keda"}}}, "monitoring.prometheusUrl"),
        ({"grpc": {"tls": "tls"}}, "grpc.secrets"),
        ({"grpc": {"delegateCertificateName": "gateway"}}, "grpc"),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}, "publicUrl"),
        ({"env": {"weir_log_level": "info"}}, "weir_log_level"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=complaint):
        render(values)


def test_metrics_are_not_reachable_from_outside(rendered: Rendered) -> None:
    for each in rendered.of_kind("Ingress"):
        for rule in each["spec"]["rules"]:
            assert all(path["path"] not in {"/", "/metrics"} for path in rule["http"]["paths"])
    for each in rendered.of_kind("HTTPRoute"):
        for rule in each["spec"]["rules"]:
            paths = [match["path"]["value"] for match in rule["matches"]]
            assert not {"/", "/metrics"} & set(paths)


def test_monitoring_is_off_unless_asked_for() -> None:
    kinds = {each["kind"] for each in render({}).objects}
    assert not kinds & {"ServiceMonitor", "PrometheusRule", "Ingress", "HTTPRoute", "ScaledObject"}


def test_alerts_and_dashboards_are_those_of_the_files() -> None:
    on = {"enabled": True}
    objects = render({"monitoring": {"prometheusRule": on, "dashboards": on}})
    (rule,) = objects.of_kind("PrometheusRule")
    alerts = sorted((CHART / "files" / "alerts").glob("*.yaml"))
    groups = [group for file in alerts for group in yaml.safe_load(file.read_text())["groups"]]
    assert rule["spec"]["groups"] == groups
    shown = {
        name: text
        for each in objects.of_kind("ConfigMap")
        for name, text in each["data"].items()
        if name.endswith(".json")
    }
    dashboards = (CHART / "files" / "dashboards").glob("*.json")
    assert shown == {file.name: file.read_text() for file in dashboards}


def test_values_of_the_test_on_kind_are_accepted() -> None:
    values = yaml.safe_load((CHART.parents[1] / "tests" / "kind" / "values.yaml").read_text())
    (scaler,) = render(values).of_kind("HorizontalPodAutoscaler")
    assert scaler["metadata"]["name"] == "weir-inference"

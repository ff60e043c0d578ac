"""How many pods there are, and who may take some away."""

import pytest
from deploy.chart_rendering import Rendered, render


def test_an_autoscaled_deployment_states_no_replicas(rendered: Rendered) -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    }
    for deployment in rendered.of_kind("Deployment"):
        has_replicas = "replicas" in deployment["spec"]
        assert has_replicas == (deployment["metadata"]["name"] not in scaled)


def test_gateway_inference_and_log_are_autoscaled_by_default() -> None:
    scalers = render({}).of_kind("HorizontalPodAutoscaler")
    assert {each["metadata"]["name"] for each in scalers} == {
        "weir-gateway",
        "weir-inference",
        "weir-prediction-log",
    }
    for each in scalers:
        behaviour = each["spec"]["behavior"]
        assert behaviour["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 300


@pytest.mark.parametrize("by", ["none", "cpu", "adapter", "keda"])
def test_a_deployment_has_one_autoscaler_at_most(by: str) -> None:
    objects = render(
        {"inference": {"autoscaling": {"by": by}}, "monitoring": {"prometheusUrl": "http://p:9090"}}
    )
    kinds = [
        each["kind"]
        for each in objects.of_kind("HorizontalPodAutoscaler", "ScaledObject")
        if each["spec"]["scaleTargetRef"]["name"] == "weir-inference"
    ]
    expected = {"none": [], "keda": ["ScaledObject"]}
    assert kinds == expected.get(by, ["HorizontalPodAutoscaler"])


def test_adapter_and_keda_scale_by_the_same_measure() -> None:
    scaling = {"by": "adapter", "waitingPerPod": 500}
    (metric,) = [
        each["external"]
        for each in render({"predictionLog": {"autoscaling": scaling}}).get(
            "HorizontalPodAutoscaler", "weir-prediction-log"
        )["spec"]["metrics"]
        if each["type"] == "External"
    ]
    assert metric["target"] == {"type": "AverageValue", "averageValue": "500"}
    objects = render(
        {
            "predictionLog": {"autoscaling": scaling | {"by": "keda"}},
            "monitoring": {"prometheusUrl": "http://p:9090"},
        }
    )
    trigger = objects.get("ScaledObject", "weir-prediction-log")["spec"]["triggers"][1]
    assert trigger["metadata"]["threshold"] == "500"
    assert metric["metric"]["name"] in trigger["metadata"]["query"]


def test_a_budget_follows_the_pods_and_never_forbids_every_eviction() -> None:
    def budgets(replicas: int) -> set[str]:
        scaling = {"by": "none"}
        values = {"inference": {"replicas": replicas, "autoscaling": scaling}}
        found = render(values).of_kind("PodDisruptionBudget")
        assert all(each["spec"]["maxUnavailable"] != 0 for each in found)
        return {each["metadata"]["name"] for each in found}

    assert "weir-inference" not in budgets(1)
    assert "weir-inference" in budgets(2)


def test_every_budget_and_autoscaler_is_for_a_deployment_that_is_there(rendered: Rendered) -> None:
    deployments = {each["metadata"]["name"]: each for each in rendered.of_kind("Deployment")}
    for each in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        assert each["spec"]["scaleTargetRef"]["name"] in deployments
    for each in rendered.of_kind("PodDisruptionBudget"):
        pod = deployments[each["metadata"]["name"]]["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"].items() <= pod.items()


def test_gateways_share_a_quota_by_how_many_they_may_become() -> None:
    def replicas(values: dict[str, object]) -> str:
        deployment = render({"gateway": values}).get("Deployment", "weir-gateway")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (value,) = [each["value"] for each in container["env"] if each["name"] == "WEIR_REPLICAS"]
        return str(value)

    assert replicas({"autoscaling": {"by": "cpu", "maxReplicas": 9}}) == "9"
    assert replicas({"autoscaling": {"by": "none"}, "replicas": 3}) == "3"

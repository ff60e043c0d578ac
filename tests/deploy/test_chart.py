"""What holds for every object that the chart makes."""

from typing import Any

import helm_python
import pytest
import yaml
from deploy.chart_rendering import CHART, EXAMPLES, SERVICES, Rendered, render
from kubernetes_validate import ValidationError, validate

# Their definitions come with what reads them, not with Kubernetes.
CUSTOM = {"ServiceMonitor", "ScaledObject", "HTTPRoute"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_lint_finds_nothing(example: Any) -> None:
    values = yaml.safe_load(example.read_text()) or {}
    result = helm_python.lint(str(CHART), values, strict=True, kube_version="v1.34.0")
    assert result["errors"] == []
    assert [each for each in result["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_every_object_fits_the_schema_of_kubernetes(rendered: Rendered, version: str) -> None:
    for each in rendered.objects:
        if each["kind"] not in CUSTOM:
            try:
                validate(each, version, strict=True)
            except ValidationError as error:
                pytest.fail(f"{each['kind']} {each['metadata']['name']}: {error.message}")


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
        ({"image": {"tag": "latest"}}, "tag"),
        ({"inference": {"autoscaling": {"enabled": True, "keda": True}}}, "autoscaling"),
        ({"gateway": {"autoscaling": {"keda": True}}}, "autoscaling"),
        (
            {
                "defaults": {"autoscaling": {"keda": True}},
                "drift": {"autoscaling": {"keda": False}},
            },
            "exclude each other",
        ),
        ({"drift": {"autoscaling": {"enabled": True}}}, "cannot be autoscaled"),
        ({"postgresql": {"bundled": False}}, "postgresql.existingSecret"),
        ({"redis": {"events": {"bundled": False}}}, "redis.events.existingSecret"),
        ({"models": {"source": "claim"}}, "models.existingClaim"),
        (
            {"predictionLog": {"autoscaling": {"keda": True}}},
            "monitoring.prometheusUrl",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=complaint):
        render(values)


def test_pods_fit_the_restricted_security_standard(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] >= 10000, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        allowed = {"configMap", "emptyDir", "secret", "persistentVolumeClaim"}
        for volume in spec.get("volumes", ()):
            assert volume.keys() - {"name"} <= allowed, name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name


def test_secrets_reach_containers_by_reference_alone(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", ()):
                is_secret = variable["name"].endswith(("_PASSWORD", "REDIS_URL", "DATABASE_URL"))
                assert is_secret == ("secretKeyRef" in variable.get("valueFrom", {})), (
                    name,
                    variable["name"],
                )


def test_every_secret_and_claim_that_is_used_exists_or_was_named_by_the_user() -> None:
    objects = render({})
    made = {each["metadata"]["name"] for each in objects.of_kind("Secret")}
    used = set()
    for _, pod in objects.pods():
        for volume in pod["spec"].get("volumes", ()):
            used |= {volume["secret"]["secretName"]} if "secret" in volume else set()
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", ()):
                if "valueFrom" in variable and "secretKeyRef" in variable["valueFrom"]:
                    used.add(variable["valueFrom"]["secretKeyRef"]["name"])
    assert used == made


def test_generated_passwords_differ_and_are_kept_when_the_release_goes() -> None:
    secrets = {each["metadata"]["name"]: each for each in render({}).of_kind("Secret")}
    generated = [secret for name, secret in secrets.items() if name != "weir-clients"]
    values = [value for secret in generated for value in secret["data"].values()]
    assert len(set(values)) == len(values)
    for secret in generated:
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize("service", SERVICES)
def test_probes_end_a_pod_only_when_the_process_itself_is_stuck(
    rendered: Rendered, service: str
) -> None:
    deployment = rendered.get("Deployment", f"weir-{service}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    if service == "gateway":
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    else:
        assert container["livenessProbe"]["grpc"]["service"] == "live"
        assert container["readinessProbe"]["grpc"]["service"].startswith("weir.")
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 30


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_time_to_leave_the_endpoints_and_to_finish(
    rendered: Rendered, service: str
) -> None:
    pod = rendered.get("Deployment", f"weir-{service}")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    (grace,) = [each["value"] for each in container["env"] if each["name"] == "WEIR_SHUTDOWN_GRACE"]
    assert pod["terminationGracePeriodSeconds"] > pause + float(grace)


def test_an_autoscaled_deployment_states_no_replicas(rendered: Rendered) -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    }
    for deployment in rendered.of_kind("Deployment"):
        has_replicas = "replicas" in deployment["spec"]
        assert has_replicas == (deployment["metadata"]["name"] not in scaled)


def test_no_deployment_has_two_autoscalers(rendered: Rendered) -> None:
    targets = [
        each["spec"]["scaleTargetRef"]["name"]
        for each in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(set(targets)) == len(targets)


def test_a_budget_never_forbids_every_eviction(rendered: Rendered) -> None:
    for budget in rendered.of_kind("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] != 0
    names = {each["metadata"]["name"] for each in rendered.of_kind("PodDisruptionBudget")}
    for deployment in rendered.of_kind("Deployment"):
        if deployment["spec"].get("replicas") == 1:
            assert deployment["metadata"]["name"] not in names


@pytest.mark.parametrize("service", SERVICES[1:])
def test_grpc_clients_see_every_pod(rendered: Rendered, service: str) -> None:
    assert rendered.get("Service", f"weir-{service}")["spec"]["clusterIP"] == "None"
    (gateway,) = rendered.get("Deployment", "weir-gateway")["spec"]["template"]["spec"][
        "containers"
    ]
    targets = [each["value"] for each in gateway["env"] if each["name"].endswith("_TARGET")]
    assert f"dns:///weir-{service}.weir.svc:50051" in targets


def test_the_migration_comes_before_the_new_version(rendered: Rendered) -> None:
    job = rendered.get("Job", "weir-migrations")
    hooks = job["metadata"]["annotations"]["helm.sh/hook"].split(",")
    bundled = any(
        each["metadata"]["name"] == "weir-postgresql" for each in rendered.of_kind("StatefulSet")
    )
    assert hooks == ["post-install" if bundled else "pre-install", "pre-upgrade"]


def test_settings_reach_the_service_as_variables() -> None:
    objects = render(
        {
            "settings": {"log_level": "warning"},
            "predictionLog": {
                "settings": {"batch_size": 100, "predictions_streams": ["a", "b"]},
            },
        }
    )
    (log,) = objects.get("Deployment", "weir-prediction-log")["spec"]["template"]["spec"][
        "containers"
    ]
    variables = {each["name"]: each.get("value") for each in log["env"]}
    assert variables["WEIR_LOG_LEVEL"] == "warning"
    assert variables["WEIR_BATCH_SIZE"] == "100"
    assert variables["WEIR_PREDICTIONS_STREAMS"] == '["a","b"]'


def test_metrics_are_not_reachable_from_outside(rendered: Rendered) -> None:
    for each in rendered.of_kind("Ingress"):
        for rule in each["spec"]["rules"]:
            assert all(path["path"] not in {"/", "/metrics"} for path in rule["http"]["paths"])
    for each in rendered.of_kind("HTTPRoute"):
        for rule in each["spec"]["rules"]:
            paths = [match["path"]["value"] for match in rule["matches"]]
            assert not {"/", "/metrics"} & set(paths)

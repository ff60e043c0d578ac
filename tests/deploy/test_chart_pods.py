"""How the chart's pods start, end, and are kept from doing harm."""

import pytest
from deploy.chart_rendering import SERVICES, Rendered, containers_of, render, the_container


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
        for container in containers_of(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name


def test_every_mount_has_its_volume_and_no_path_is_taken_twice(rendered: Rendered) -> None:
    stateful = {each["metadata"]["name"]: each for each in rendered.of_kind("StatefulSet")}
    for name, pod in rendered.pods():
        claims = stateful.get(name, {}).get("spec", {}).get("volumeClaimTemplates", ())
        volumes = {each["metadata"]["name"] for each in claims}
        volumes |= {each["name"] for each in pod["spec"].get("volumes", ())}
        for container in containers_of(pod):
            mounts = container.get("volumeMounts", ())
            assert {each["name"] for each in mounts} <= volumes, name
            paths = [each["mountPath"] for each in mounts]
            assert len(set(paths)) == len(paths), name


def test_files_that_a_variable_names_lie_on_a_mounted_volume(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in containers_of(pod):
            mounted = [each["mountPath"] for each in container.get("volumeMounts", ())]
            for variable in container.get("env", ()):
                if variable["name"].endswith(("_FILE", "_DIR")):
                    directory = variable["value"]
                    assert any(directory.startswith(path) for path in mounted), (name, variable)


@pytest.mark.parametrize("service", SERVICES)
def test_probes_end_a_pod_only_when_the_process_itself_is_stuck(service: str) -> None:
    container = the_container(render({}), service)
    if service == "gateway":
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    else:
        assert container["livenessProbe"]["grpc"]["service"] == "live"
        assert container["startupProbe"]["grpc"]["service"] == "live"
        assert container["readinessProbe"]["grpc"]["service"].startswith("weir.")
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 30


@pytest.mark.parametrize("service", SERVICES[1:])
def test_probes_of_servers_with_tls_speak_tls(service: str) -> None:
    names = ("gateway", "inference", "predictionLog", "drift")
    tls = {"tls": "mutual", "secrets": {name: name.lower() for name in names}}
    container = the_container(render({"grpc": tls}), service)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "grpc" not in container[probe]
    command = container["readinessProbe"]["exec"]["command"]
    assert command[:4] == ["python", "-m", "servicekit.health_command", "grpc"]
    assert f"weir-{service}.weir.svc" in command


def test_gateway_with_tls_is_asked_over_https_by_everybody() -> None:
    objects = render(
        {
            "gateway": {"tls": {"existingSecret": "tls"}},
            "service": {"port": 443},
            "monitoring": {"serviceMonitor": {"enabled": True}},
        }
    )
    gateway = the_container(objects, "gateway")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert gateway[probe]["httpGet"]["scheme"] == "HTTPS"
    for service in SERVICES[1:]:
        variables = {
            each["name"]: each.get("value") for each in the_container(objects, service)["env"]
        }
        assert variables["WEIR_JWKS_URL"].startswith("https://weir-gateway.weir.svc:443/")
        assert variables["SSL_CERT_FILE"] == "/etc/weir/gateway-authority/ca.crt"
    (monitor,) = objects.of_kind("ServiceMonitor")
    assert [each.get("scheme") for each in monitor["spec"]["endpoints"]] == [None, "https"]
    assert (
        "https://weir-gateway"
        in objects.get("Pod", "weir-test")["spec"]["containers"][0]["args"][0]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_has_time_to_leave_the_endpoints_and_to_finish(
    rendered: Rendered, service: str
) -> None:
    pod = rendered.get("Deployment", f"weir-{service}")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    (grace,) = [each["value"] for each in container["env"] if each["name"] == "WEIR_SHUTDOWN_GRACE"]
    assert pod["terminationGracePeriodSeconds"] > pause + float(grace)


@pytest.mark.parametrize("service", SERVICES)
def test_pods_are_spread_over_nodes_and_zones(rendered: Rendered, service: str) -> None:
    deployment = rendered.get("Deployment", f"weir-{service}")
    pod = deployment["spec"]["template"]
    spread = pod["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    for each in spread:
        chosen = each["labelSelector"]["matchLabels"]
        assert chosen == deployment["spec"]["selector"]["matchLabels"]
        assert chosen.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("service", SERVICES[1:])
def test_grpc_clients_see_every_pod(rendered: Rendered, service: str) -> None:
    assert rendered.get("Service", f"weir-{service}")["spec"]["clusterIP"] == "None"
    gateway = the_container(rendered, "gateway")
    targets = [each["value"] for each in gateway["env"] if each["name"].endswith("_TARGET")]
    assert f"dns:///weir-{service}.weir.svc:50051" in targets


def test_models_come_from_where_the_values_say() -> None:
    assert "models" not in str(the_container(render({}), "inference")["volumeMounts"])
    claim = render({"models": {"source": "claim", "existingClaim": "packages"}})
    store = render({"models": {"source": "objectStore", "objectStore": {"path": "store:a/b"}}})
    for service in ("inference", "drift"):
        for objects in (claim, store):
            mounts = the_container(objects, service)["volumeMounts"]
            assert {"name": "models", "mountPath": "/models", "readOnly": True} in mounts
        pod = store.get("Deployment", f"weir-{service}")["spec"]["template"]["spec"]
        (copier,) = pod["initContainers"]
        # It goes on beside the service, which waits for the first copy.
        assert copier["restartPolicy"] == "Always"
        assert copier["startupProbe"]["exec"]["command"] == ["test", "-e", "/tmp/complete"]


def test_events_are_on_disk_before_they_are_acknowledged_and_counters_never_are() -> None:
    objects = render({})
    for role, durable in (("events", True), ("quota", False)):
        store = objects.get("StatefulSet", f"weir-redis-{role}")["spec"]
        (script,) = store["template"]["spec"]["containers"][0]["args"]
        assert ("--appendonly yes --appendfsync always" in script) is durable
        assert "--maxmemory-policy noeviction" in script
        assert bool(store.get("volumeClaimTemplates")) is durable


def test_the_migration_comes_before_the_new_version() -> None:
    outside = {"postgresql": {"bundled": False, "existingSecret": "pg"}}
    job = render(outside).get("Job", "weir-migrations")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    again = render({}, upgrade=True).get("Job", "weir-migrations")
    assert again["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_the_first_migration_comes_with_the_postgresql_that_it_needs() -> None:
    # As a hook after the install it would never come where Helm waits for the log's pods.
    job = render({}).get("Job", "weir-migrations-install")
    assert "annotations" not in job["metadata"]

"""Where secrets come from, how they reach containers, and what becomes of signing keys."""

from typing import Any

import pytest
from deploy.chart_rendering import Object, Rendered, containers_of, render

OWN_STORES = {
    "postgresql": {"bundled": False, "existingSecret": "pg"},
    "redis": {
        "events": {"bundled": False, "existingSecret": "events"},
        "quota": {"bundled": False, "existingSecret": "quota"},
    },
}
OWN_IDENTITY = {"identity": {"existingSecret": "identity", "existingClientsSecret": "clients"}}


def used_secrets(objects: Rendered) -> set[str]:
    used = set()
    for _, pod in objects.pods():
        for volume in pod["spec"].get("volumes", ()):
            used |= {volume["secret"]["secretName"]} if "secret" in volume else set()
        for container in containers_of(pod):
            used |= {each["secretRef"]["name"] for each in container.get("envFrom", ())}
            for variable in container.get("env", ()):
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    used.add(variable["valueFrom"]["secretKeyRef"]["name"])
    return used


def made_secrets(objects: Rendered) -> set[str]:
    return {each["metadata"]["name"] for each in objects.of_kind("Secret")}


def test_secrets_reach_containers_by_reference_alone(rendered: Rendered) -> None:
    for name, pod in rendered.pods():
        for container in containers_of(pod):
            for variable in container.get("env", ()):
                is_secret = variable["name"].endswith(("_PASSWORD", "REDIS_URL", "DATABASE_URL"))
                assert is_secret == ("secretKeyRef" in variable.get("valueFrom", {})), (
                    name,
                    variable["name"],
                )


def test_every_secret_that_is_used_is_made() -> None:
    objects = render({})
    assert used_secrets(objects) == made_secrets(objects)


@pytest.mark.parametrize(
    "values",
    [
        OWN_IDENTITY | OWN_STORES,
        OWN_IDENTITY
        | {
            "postgresql": {"existingSecret": "pg"},
            "redis": {"events": {"existingSecret": "events"}, "quota": {"existingSecret": "quota"}},
        },
    ],
    ids=["external stores", "bundled stores"],
)
def test_none_is_made_where_all_exist(values: dict[str, Any]) -> None:
    objects = render(values)
    assert made_secrets(objects) == set()
    assert used_secrets(objects) == {"identity", "clients", "pg", "events", "quota"}


def test_generated_secrets_differ_and_are_kept_when_the_release_goes() -> None:
    secrets = {each["metadata"]["name"]: each for each in render({}).of_kind("Secret")}
    generated = [secret for name, secret in secrets.items() if name != "weir-clients"]
    values = [value for secret in generated for value in secret["data"].values()]
    assert len(set(values)) == len(values)
    for secret in generated:
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_signing_keys_rotate_on_a_volume_that_gateways_only_read() -> None:
    objects = render({"identity": {"rotation": {"enabled": True, "every": "14d"}}})
    gateway = objects.get("Deployment", "weir-gateway")["spec"]["template"]["spec"]
    job = objects.get("CronJob", "weir-signing-keys")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    writer = job["jobTemplate"]["spec"]["template"]["spec"]
    claim = {"claimName": "weir-signing-keys"}
    for pod in (gateway, writer):
        assert _volume(pod, "signing-keys") == {"persistentVolumeClaim": claim}
    assert objects.get("PersistentVolumeClaim", "weir-signing-keys")["spec"]["accessModes"] == [
        "ReadWriteMany"
    ]
    (serving,), (first,), (rotating,) = (
        gateway["containers"],
        gateway["initContainers"],
        writer["containers"],
    )
    assert _mount(serving, "signing-keys").get("readOnly") is True
    assert "readOnly" not in _mount(rotating, "signing-keys")
    assert rotating["args"][-2:] == ["--if-older-than", "14d"]
    # The first start goes on with the Secret's keys, and the next job with those.
    assert first["args"][3:5] == ["--take-over", "/etc/weir/identity"]


def test_the_rotation_reaches_nobody() -> None:
    objects = render({"identity": {"rotation": {"enabled": True}}})
    policy = objects.get("NetworkPolicy", "weir-signing-keys")["spec"]
    assert (policy.get("ingress"), policy.get("egress")) == (None, None)
    pod = objects.get("CronJob", "weir-signing-keys")["spec"]["jobTemplate"]["spec"]["template"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def _volume(pod: Object, name: str) -> Object:
    (found,) = [each for each in pod["volumes"] if each["name"] == name]
    return {key: value for key, value in found.items() if key != "name"}


def _mount(container: Object, name: str) -> Object:
    (found,) = [each for each in container["volumeMounts"] if each["name"] == name]
    mount: Object = found
    return mount

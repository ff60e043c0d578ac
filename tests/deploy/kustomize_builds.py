"""Builds everything in k8s/ with kubectl and compares it with what the chart makes.

Each overlay must be, object by object, what the chart makes of the same values. Each component must
build alone, too. Objects must fit their schemas.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kustomization
import yaml
from deploy.object_schemas import VERSIONS, complaint


def built(folder: Path) -> dict[kustomization.Key, kustomization.Object]:
    """The objects that kubectl makes of a folder.

    Raises:
        subprocess.CalledProcessError: kubectl refuses it, and has said why.
    """
    command = ("kubectl", "kustomize", str(folder))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def differences(folder: Path, expected: dict[kustomization.Key, kustomization.Object]) -> list[str]:
    """How what is built is not what the chart makes."""
    found = built(folder)
    faults = [f"{folder.name}: {key} is missing" for key in expected.keys() - found.keys()]
    faults += [f"{folder.name}: {key} is too much" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        namespace = found[key]["metadata"].pop("namespace", None)
        if namespace != kustomization.NAMESPACE:
            faults.append(f"{folder.name}: {key} is in namespace {namespace}")
        if found[key] != expected[key]:
            faults.append(f"{folder.name}: {key} differs from the chart's")
    return faults + [
        f"{folder.name}: {why}"
        for version in VERSIONS
        for each in found.values()
        if (why := complaint(each, version))
    ]


def main() -> int:
    """Returns 1 where anything differs."""
    if shutil.which("kubectl") is None:
        print("kubectl is not installed: https://kubernetes.io/docs/tasks/tools, 1.27 or newer")
        return 1
    target = kustomization.TARGET
    faults = differences(target / "base", kustomization.rendered("base"))
    for overlay, components in kustomization.OVERLAYS.items():
        expected = kustomization.rendered("base", *components, overlay)
        faults += differences(target / "overlays" / overlay, expected)
    for component in kustomization.COMPONENTS:
        with tempfile.TemporaryDirectory(dir=target) as alone:
            file = Path(alone, "kustomization.yaml")
            head = {"resources": ["../base"], "components": [f"../components/{component}"]}
            file.write_text(yaml.safe_dump(head))
            built(Path(alone))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

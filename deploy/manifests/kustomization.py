"""Renders the chart into k8s/: a base, components, and overlays, for those who use kustomize.

The base is the chart with one set of values; each component and overlay is what other values
change of it: objects that come, objects that go, and patches. So what `kubectl kustomize` makes of
an overlay is exactly what the chart makes of the same values.
"""

import copy
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "weir"
TARGET = ROOT / "k8s"
VALUES = Path(__file__).resolve().parent
NAMESPACE = "weir"
# In the order in which kustomize applies them.
COMPONENTS = ("network-policies", "observability", "external-stores")
OVERLAYS: Mapping[str, Sequence[str]] = {
    "dev": (),
    "staging": ("network-policies", "observability"),
    "production": COMPONENTS,
}
_NOTE = "# Rendered from helm/weir by `make manifests`; change it there.\n"

Object = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """What one set of objects has to become another."""

    added: Mapping[Key, Object]
    removed: Mapping[Key, Object]
    patches: Mapping[Key, list[Object]]


def rendered(*names: str) -> dict[Key, Object]:
    """The objects that the chart makes with these values, the last of them counting most."""
    values: Object = {}
    for name in names:
        values = merged(values, yaml.safe_load((VALUES / f"{name}-values.yaml").read_text()))
    chart = helm_python.Chart.load(str(CHART))
    files = chart.render(values, name="weir", namespace=NAMESPACE, is_install=True)
    objects = [
        plain(each)
        for name, text in sorted(files.items())
        if not name.endswith("NOTES.txt")
        for each in yaml.safe_load_all(text)
        if each and "test" not in str(_annotations(each).get("helm.sh/hook"))
    ]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def merged(values: Any, above: Any) -> Any:
    """Values as Helm merges them: maps key by key, everything else whole."""
    if not isinstance(values, dict) or not isinstance(above, dict):
        return above
    return values | {key: merged(values.get(key), value) for key, value in above.items()}


def plain(each: Any) -> Any:
    """An object, or a part of one, without what is Helm's own."""
    if isinstance(each, list):
        return [plain(item) for item in each]
    if not isinstance(each, dict):
        return each
    kept = {key: plain(value) for key, value in each.items()}
    if isinstance(kept.get("labels"), dict):
        kept["labels"].pop("helm.sh/chart", None)
        if "app.kubernetes.io/managed-by" in kept["labels"]:
            kept["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    if isinstance(kept.get("annotations"), dict):
        own = {k: v for k, v in kept["annotations"].items() if not k.startswith("helm.sh/")}
        kept["annotations"] = own
        if not own:
            del kept["annotations"]
    return kept


def _annotations(each: Object) -> Object:
    found: Object = each["metadata"].get("annotations") or {}
    return found


def change(before: Mapping[Key, Object], after: Mapping[Key, Object]) -> Change:
    """What makes `after` of `before`."""
    return Change(
        added={key: each for key, each in after.items() if key not in before},
        removed={key: each for key, each in before.items() if key not in after},
        patches={
            key: operations
            for key, each in after.items()
            if key in before and (operations := _operations(before[key], each))
        },
    )


def _operations(before: Any, after: Any, path: str = "") -> list[Object]:
    """A JSON patch (RFC 6902); lists change as a whole."""
    if before == after:
        return []
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [{"op": "replace", "path": path, "value": copy.deepcopy(after)}]
    operations: list[Object] = []
    for key in sorted(before.keys() | after.keys()):
        there = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            operations.append({"op": "remove", "path": there})
        elif key not in before:
            operations.append({"op": "add", "path": there, "value": copy.deepcopy(after[key])})
        else:
            operations += _operations(before[key], after[key], there)
    return operations


def folders() -> dict[str, str]:
    """Every file of k8s/ by its path there, except the README."""
    files: dict[str, str] = {}
    base = rendered("base")
    _write(files, "base", {"namespace": NAMESPACE}, Change(base, {}, {}))
    built = ["base"]
    for component in COMPONENTS:
        # Above those before it, so that it changes what they bring, too.
        own = change(rendered(*built), rendered(*built, component))
        built.append(component)
        _write(files, f"components/{component}", {}, own, kind="Component")
    for overlay, components in OVERLAYS.items():
        head = {
            "namespace": NAMESPACE,
            "resources": ["../../base"],
            "components": [f"../../components/{each}" for each in components],
        }
        whole = rendered("base", *components, overlay)
        own = change(rendered("base", *components), whole)
        _write(files, f"overlays/{overlay}", head, own)
    return files


def _write(
    files: dict[str, str], folder: str, head: Object, own: Change, *, kind: str = "Kustomization"
) -> None:
    version = "v1alpha1" if kind == "Component" else "v1beta1"
    kustomization: Object = {"apiVersion": f"kustomize.config.k8s.io/{version}", "kind": kind}
    kustomization |= {key: value for key, value in head.items() if value}
    resources = list(kustomization.get("resources", []))
    for (object_kind, name), each in own.added.items():
        file = f"{object_kind.lower()}-{name}.yaml"
        files[f"{folder}/{file}"] = _NOTE + _yaml(each)
        resources.append(file)
    if resources:
        kustomization["resources"] = resources
    patches: list[Object] = []
    # By targets, so that they may be missing where another component was left out.
    for (object_kind, name), each in own.removed.items():
        gone = {"apiVersion": each["apiVersion"], "kind": object_kind, "metadata": {"name": name}}
        target = {"kind": object_kind, "name": name}
        patches.append({"target": target, "patch": _yaml({"$patch": "delete", **gone})})
    for (object_kind, name), operations in own.patches.items():
        target = {"kind": object_kind, "name": name}
        patches.append({"target": target, "patch": _yaml(operations)})
    if patches:
        kustomization["patches"] = patches
    files[f"{folder}/kustomization.yaml"] = _NOTE + _yaml(kustomization)


class _Dumper(yaml.SafeDumper):
    """Lists are indented, and texts of several lines are written as such."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def _yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100_000)


def main() -> None:
    """Writes k8s/ anew, but for its README."""
    for folder in ("base", "components", "overlays"):
        shutil.rmtree(TARGET / folder, ignore_errors=True)
    for path, text in folders().items():
        file = TARGET / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


if __name__ == "__main__":
    main()

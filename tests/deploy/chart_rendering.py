"""The chart of Weir, rendered with each of its example values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "weir"
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
SERVICES = ("gateway", "inference", "prediction-log", "drift")

Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What one set of values makes of the chart, in a namespace and release called weir."""

    objects: tuple[Object, ...]

    def of_kind(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def get(self, kind: str, name: str) -> Object:
        """The one object of that name."""
        (found,) = [
            each
            for each in self.objects
            if (each["kind"], each["metadata"]["name"]) == (kind, name)
        ]
        return found

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Every pod, or template of one, with the name of what it belongs to."""
        for each in self.objects:
            if each["kind"] == "Pod":
                yield each["metadata"]["name"], each
            elif each["kind"] == "CronJob":
                yield each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]["template"]
            elif "template" in each.get("spec", {}):
                yield each["metadata"]["name"], each["spec"]["template"]


def containers_of(pod: Object) -> list[Object]:
    """All containers of a pod, those that come first included."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def the_container(objects: Rendered, service: str) -> Object:
    """The container of a service."""
    pod = objects.get("Deployment", f"weir-{service}")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    found: Object = container
    return found


def render(values: Mapping[str, Any], *, upgrade: bool = False) -> Rendered:
    """Renders the chart, as for an install or for an upgrade of one.

    Raises:
        helm_python.HelmError: the values are refused, or a template fails.
    """
    chart = helm_python.Chart.load(str(CHART))
    when = {"is_install": not upgrade, "is_upgrade": upgrade}
    files = chart.render(dict(values), name="weir", namespace="weir", **when)
    return Rendered(
        tuple(
            document
            for name, text in files.items()
            if not name.endswith("NOTES.txt")
            for document in yaml.safe_load_all(text)
            if document
        )
    )

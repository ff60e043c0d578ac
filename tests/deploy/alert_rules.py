"""The alerts and their promtool tests, as data."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
OBSERVABILITY = REPOSITORY / "deploy" / "observability"
_TESTED = re.compile(r'ALERTS\{alertname="(\w+)",alertstate="firing"\}')


@dataclass(frozen=True)
class Alert:
    """One rule that alerts."""

    name: str
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def severity(self) -> str:
        return self.labels["severity"]


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    files = sorted((OBSERVABILITY / "alerts").glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[Alert]:
    """The rules that alert."""
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"], rule["annotations"])
        for rule in rules()
        if "alert" in rule
    ]


def seen_in_tests() -> tuple[set[tuple[str, str]], set[str]]:
    """Names and severities that tests see firing, and names that they see silent."""
    firing: set[tuple[str, str]] = set()
    silent: set[str] = set()
    for file in sorted((OBSERVABILITY / "tests").glob("*.yaml")):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for asked in test["promql_expr_test"]:
                (name,) = _TESTED.findall(asked["expr"])
                if not asked["exp_samples"]:
                    silent.add(name)
                for sample in asked["exp_samples"]:
                    severity = re.search(r'severity="(\w+)"', sample["labels"])
                    assert severity, f"{file.name} does not say how severe {name} is"
                    firing.add((name, severity[1]))
    return firing, silent

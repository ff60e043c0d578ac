"""Every PromQL expression that alerts and dashboards ask, and what it names."""

import json
from collections.abc import Iterator
from typing import Any

import promql_parser
from deploy.alert_rules import OBSERVABILITY, rules

_OF_THE_TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus itself adds."""
_OF_PROMETHEUS = {"up": frozenset[str]()}


def expressions() -> Iterator[tuple[str, str]]:
    """Where each stands, and itself."""
    for rule in rules():
        yield f"rule {rule.get('alert') or rule['record']}", rule["expr"]
    for file in sorted((OBSERVABILITY / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                # Grafana's own variable stands for a time.
                query = target["expr"].replace("$__rate_interval", "5m")
                yield f"panel {file.stem}: {panel['title']}", query


def recorded() -> dict[str, frozenset[str]]:
    """Metrics that recording rules make, with their labels."""
    return {rule["record"]: frozenset(rule["labels"]) for rule in rules() if "record" in rule}


def named_in(expression: str) -> list[tuple[str, frozenset[str]]]:
    """Each metric that is read, with the labels by which it is chosen, summed or joined.

    Raises:
        ValueError: it cannot be parsed.
    """
    return list(_walk(promql_parser.parse(expression), frozenset()))


def unknown_in(expression: str, exported: dict[str, frozenset[str]]) -> list[str]:
    """What an expression names that nobody exports.

    Args:
        exported: labels of each metric, by its name in queries.
    """
    known = {**exported, **recorded(), **_OF_PROMETHEUS}
    faults = []
    for name, labels in named_in(expression):
        if name not in known:
            faults.append(name)
        else:
            faults += [f"{name}.{label}" for label in labels - known[name] - _OF_THE_TARGET]
    return faults


def _walk(node: Any, around: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    match type(node).__name__:
        case "VectorSelector":
            own = frozenset(matcher.name for matcher in node.matchers.matchers)
            yield node.name, own | around
        case "MatrixSelector":
            yield from _walk(node.vector_selector, around)
        case "AggregateExpr":
            # What an inner one has summed away, an outer one cannot ask for: the innermost counts.
            by = frozenset(node.modifier.labels) if node.modifier else frozenset[str]()
            yield from _walk(node.expr, by)
        case "BinaryExpr":
            yield from _walk(node.lhs, around)
            yield from _walk(node.rhs, around)
        case "Call":
            for argument in node.args:
                yield from _walk(argument, around)
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            yield from _walk(node.expr, around)
        case "NumberLiteral" | "StringLiteral":
            return
        case other:
            raise ValueError(f"this test knows no {other}")

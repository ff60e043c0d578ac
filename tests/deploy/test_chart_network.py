"""Who may reach whom in the cluster: exactly the wires of the architecture."""

from deploy.chart_rendering import Object, Rendered, render

STORES = {"postgresql": 5432, "redis-events": 6379, "redis-quota": 6379}
# Caller, called, port.
WIRES = {
    ("gateway", "inference", 50051),
    ("gateway", "prediction-log", 50051),
    ("gateway", "drift", 50051),
    ("gateway", "redis-events", 6379),
    ("gateway", "redis-quota", 6379),
    ("inference", "redis-events", 6379),
    ("prediction-log", "redis-events", 6379),
    ("prediction-log", "postgresql", 5432),
    ("drift", "redis-events", 6379),
    ("migrations", "postgresql", 5432),
    # The gateway publishes the keys that tokens are verified with.
    ("inference", "gateway", 8080),
    ("prediction-log", "gateway", 8080),
    ("drift", "gateway", 8080),
    ("test", "gateway", 8080),
}


def test_everything_is_denied_first(rendered: Rendered) -> None:
    deny = rendered.get("NetworkPolicy", "weir-default-deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    for name, pod in rendered.pods():
        labels = pod["metadata"]["labels"]
        assert deny["podSelector"]["matchLabels"].items() <= labels.items(), name


def test_calls_go_out_along_the_wires_alone() -> None:
    assert _wires(render({}), "egress") == WIRES


def test_calls_come_in_along_the_wires_alone() -> None:
    # The gateway is open to everybody unless its peers are named.
    closed = render({"networkPolicies": {"gatewayPeers": [{"podSelector": {}}]}})
    assert _wires(closed, "ingress") == WIRES


def test_nobody_but_the_log_reaches_postgresql(rendered: Rendered) -> None:
    allowed = {"weir-prediction-log", "weir-migrations", "weir-postgresql"}
    for policy in rendered.of_kind("NetworkPolicy"):
        ports = [
            port["port"] for rule in policy["spec"].get("egress") or () for port in rule["ports"]
        ]
        if 5432 in ports:
            assert policy["metadata"]["name"] in allowed


def test_every_pod_that_calls_somebody_may_ask_for_names(rendered: Rendered) -> None:
    for policy in rendered.of_kind("NetworkPolicy"):
        rules = policy["spec"].get("egress") or []
        if rules:
            assert any({"protocol": "UDP", "port": 53} in rule["ports"] for rule in rules), policy[
                "metadata"
            ]["name"]


def test_external_stores_are_reached_in_their_networks_alone() -> None:
    objects = render(
        {
            "postgresql": {"bundled": False, "existingSecret": "pg", "cidrs": ["10.9.0.0/24"]},
            "redis": {
                "events": {"bundled": False, "existingSecret": "events"},
                "cidrs": ["10.8.0.0/24"],
            },
        }
    )
    log = objects.get("NetworkPolicy", "weir-prediction-log")["spec"]["egress"]
    blocks = {
        (port["port"], peer["ipBlock"]["cidr"])
        for rule in log
        for port in rule["ports"]
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    }
    assert blocks == {(5432, "10.9.0.0/24"), (6379, "10.8.0.0/24")}


def test_drift_reaches_its_webhook_and_nobody_else_does() -> None:
    hook = {"url": "https://alerts.example.com/weir", "cidrs": ["198.51.100.0/24"], "port": 8443}
    blocks = {
        (policy["metadata"]["name"], port["port"], peer["ipBlock"]["cidr"])
        for policy in render({"drift": {"webhook": hook}}).of_kind("NetworkPolicy")
        for rule in policy["spec"].get("egress") or ()
        for port in rule["ports"]
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    }
    assert blocks == {("weir-drift", 8443, "198.51.100.0/24")}


def _wires(objects: Rendered, direction: str) -> set[tuple[str, str, int]]:
    wires = set()
    for policy in objects.of_kind("NetworkPolicy"):
        here = _part(policy["spec"]["podSelector"])
        for rule in policy["spec"].get(direction) or ():
            for peer in rule.get("to" if direction == "egress" else "from", ()):
                there = _part(peer.get("podSelector", {}))
                if not there:
                    continue
                pair = (here, there) if direction == "egress" else (there, here)
                wires |= {(*pair, port["port"]) for port in rule["ports"]}
    return wires


def _part(selector: Object) -> str:
    name: str = selector.get("matchLabels", {}).get("app.kubernetes.io/name", "")
    return name.removeprefix("weir-")

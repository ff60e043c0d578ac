"""The edge: who asks, what they get, how long it takes and what stands in the way."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.overview import ASKED, ONE_TEXT
from dashboards_source.panels import WINDOW, Bounds, graph, number, page, quantiles, row

_NEVER = Bounds(0.5, 1)


def gateway() -> Dashboard:
    """Requests, tokens, quotas and calls to the services."""
    return (
        page("gateway", "Weir / Gateway", "What callers get, and what keeps them from more.")
        .with_row(row("Are users hurt?"))
        .with_panel(
            number(
                "Failed requests",
                "Share answered with 5xx in the last five minutes; the objective allows 0.1 %.",
                'weir:bad_requests:ratio_rate5m{objective="availability"}',
                unit="percentunit",
                bounds=Bounds(0.001, 0.0144),
            )
        )
        .with_panel(
            number(
                "Within 0.25 s",
                "Share of predictions for one text that were answered in time; 95 % are promised.",
                '1 - weir:bad_requests:ratio_rate5m{objective="latency"}',
                unit="percentunit",
                bounds=Bounds(0.97, 0.95, low=True),
            )
        )
        .with_panel(
            number(
                "Refused by quotas",
                "Requests a second that were over their client's quota (429). That is how it is "
                "meant, unless it is everybody.",
                'sum(rate(weir_quota_decisions_total{outcome="refused"}[5m]))',
                unit="reqps",
                bounds=Bounds(1, 100),
            )
        )
        .with_panel(
            number(
                "Refused tokens",
                "Requests for a token a second that were refused. Many at once: a client with an "
                "old secret, or somebody who guesses.",
                'sum(rate(weir_token_requests_total{outcome!="issued"}[5m]))',
                unit="reqps",
                bounds=Bounds(0.1, 5),
            )
        )
        .with_panel(
            number(
                "Under way",
                "Requests that are being answered now, in all gateways.",
                "sum(weir_http_requests_in_flight)",
                unit="short",
                bounds=Bounds(500, 2000),
            )
        )
        .with_panel(
            number(
                "Certificate",
                "Time until the first certificate in use ends.",
                "min(weir_certificate_expires_timestamp_seconds) - time()",
                unit="s",
                bounds=Bounds(14 * 86400, 2 * 86400, low=True),
                no_value="no TLS",
            )
        )
        .with_row(row("Where?"))
        .with_panel(
            graph(
                "Requests by route",
                "A second, without probes.",
                {
                    "{{method}} {{route}}": "sum by (method, route) "
                    f"(rate(weir_http_requests_total{{{ASKED}}}[{WINDOW}]))"
                },
                unit="reqps",
                bounds=Bounds(500, 1000),
            )
        )
        .with_panel(
            graph(
                "Answers by status",
                "4xx are the callers' own faults, 5xx ours.",
                {
                    "{{status}}": "sum by (status) "
                    f"(rate(weir_http_requests_total{{{ASKED}}}[{WINDOW}]))"
                },
                unit="reqps",
                bounds=Bounds(500, 1000),
            )
        )
        .with_panel(
            graph(
                "Latency of a prediction",
                "For one text, at the gateway. Points are traces: click one to see where its time "
                "went.",
                quantiles("weir_http_request_seconds", ONE_TEXT),
                unit="s",
                bounds=Bounds(0.15, 0.25),
                exemplars=True,
            )
        )
        .with_row(row("Why?"))
        .with_panel(
            graph(
                "Time in services",
                "p95 of the gateway's calls, by method.",
                {
                    "{{backend}} {{method}}": "histogram_quantile(0.95, sum by "
                    "(le, backend, method) (rate(weir_backend_call_seconds_bucket"
                    f"[{WINDOW}])))"
                },
                unit="s",
                bounds=Bounds(0.15, 0.25),
                exemplars=True,
            )
        )
        .with_panel(
            graph(
                "Calls that were refused or repeated",
                "Refused: not made, because the breaker was open. Repeated: made once more.",
                {
                    "refused {{backend}}": "sum by (backend) "
                    f"(rate(weir_backend_refused_calls_total[{WINDOW}]))",
                    "repeated {{backend}}": "sum by (backend) "
                    f"(rate(weir_backend_retries_total[{WINDOW}]))",
                },
                unit="reqps",
                bounds=Bounds(0.1, 1),
            )
        )
        .with_panel(
            graph(
                "Items under way",
                "In the gateway or at inference, and the room for them that refusals have taught.",
                {
                    "under way": "sum(weir_gateway_items)",
                    "room": "sum(weir_gateway_room_items)",
                },
                unit="short",
                bounds=Bounds(1500, 2000),
            )
        )
        .with_panel(
            graph(
                "Decisions on quotas",
                "By outcome and by where they were counted. `process`: Redis is away, and each "
                "gateway grants its share.",
                {
                    "{{outcome}} {{counted_in}}": "sum by (outcome, counted_in) "
                    f"(rate(weir_quota_decisions_total[{WINDOW}]))"
                },
                unit="reqps",
                bounds=Bounds(500, 1000),
            )
        )
        .with_panel(
            graph(
                "Wait for quotas",
                "Time that a request waits for the quota Redis. At 20 ms it gives up and counts "
                "locally.",
                quantiles("weir_quota_decision_seconds"),
                unit="s",
                bounds=Bounds(0.01, 0.02),
            )
        )
        .with_panel(
            graph(
                "Identity",
                "Tokens by outcome, refused API keys, and connections closed for being too slow.",
                {
                    "token {{outcome}}": "sum by (outcome) "
                    f"(rate(weir_token_requests_total[{WINDOW}]))",
                    "API key {{reason}}": "sum by (reason) "
                    f"(rate(weir_api_keys_refused_total[{WINDOW}]))",
                    "connection {{reason}}": "sum by (reason) "
                    f"(rate(weir_http_refused_connections_total[{WINDOW}]))",
                },
                unit="reqps",
                bounds=Bounds(10, 100),
            )
        )
        .with_panel(
            graph(
                "What should be zero",
                "Audit events lost, clients read from an old copy (1), quotas counted locally (1).",
                {
                    "audit events lost": f"sum(rate(weir_audit_dropped_total[{WINDOW}]))",
                    "stale {{source}}": "max by (source) (weir_identity_stale)",
                    "quotas local": "max(weir_quota_local)",
                },
                unit="short",
                bounds=_NEVER,
            )
        )
    )

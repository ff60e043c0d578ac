"""Where to look first: are users hurt, where, and why."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.panels import WINDOW, Bounds, graph, number, page, quantiles, row

ASKED = 'route!~"/health.*|/metrics|/docs.*|[(]none[)]"'
"""What callers ask for, without probes and paths that do not exist."""
ONE_TEXT = 'route=~"/predict|/v1/models/{model}/predict",method="POST"'
"""Predictions for one text, of which the objective for latency speaks."""
_RARE = Bounds(0.001, 0.01)


def overview() -> Dashboard:
    """The first dashboard of somebody who was woken."""
    return (
        page("overview", "Weir / Overview", "Are users hurt? Where? Why? From the top down.")
        .with_row(row("Are users hurt?"))
        .with_panel(
            number(
                "Failed requests",
                "Share answered with 5xx in the last five minutes. The month's objective allows "
                "0.1 %; at 1.44 % and above a page is sent.",
                'weir:bad_requests:ratio_rate5m{objective="availability"}',
                unit="percentunit",
                bounds=Bounds(0.001, 0.0144),
            )
        )
        .with_panel(
            number(
                "Latency p95",
                "Of predictions for one text, at the gateway. The objective is 0.25 s.",
                quantiles("weir_http_request_seconds", ONE_TEXT)["p95"],
                unit="s",
                bounds=Bounds(0.15, 0.25),
            )
        )
        .with_panel(
            number(
                "Requests",
                "Answered a second, without probes. Nothing at all is yellow: nobody asks, or "
                "nobody reaches the gateway.",
                f"sum(rate(weir_http_requests_total{{{ASKED}}}[5m]))",
                unit="reqps",
                bounds=Bounds(0.01, 0, low=True),
            )
        )
        .with_panel(
            number(
                "Refused for load",
                "Items a second that the gateway refused with 503, because too many are under way.",
                "sum(rate(weir_gateway_refused_items_total[5m]))",
                unit="short",
                bounds=Bounds(0.01, 1),
            )
        )
        .with_panel(
            number(
                "Not on record",
                "Predictions answered without a record, and audit events lost, in the last day. "
                "Zero is a promise.",
                "sum(increase(weir_inference_unlogged_total[1d])) "
                "+ sum(increase(weir_audit_dropped_total[1d]))",
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_panel(
            number(
                "Log behind",
                "Age of the oldest event that the log has not written. Nothing is lost while the "
                "stream has room.",
                "max(weir_prediction_log_oldest_waiting_seconds)",
                unit="s",
                bounds=Bounds(60, 900),
            )
        )
        .with_row(row("Where?"))
        .with_panel(
            graph(
                "Failures by route",
                "5xx a second at the gateway. One route alone points at the service behind it.",
                {
                    "{{route}} {{status}}": "sum by (route, status) "
                    f'(rate(weir_http_requests_total{{{ASKED},status=~"5.."}}[{WINDOW}])) > 0'
                },
                unit="reqps",
                bounds=_RARE,
            )
        )
        .with_panel(
            graph(
                "Failed calls to services",
                "What the gateway's calls to each service ended with, by code. UNAVAILABLE: it is "
                "away or refuses for load. DEADLINE_EXCEEDED: it is slow.",
                {
                    "{{backend}} {{code}}": "sum by (backend, code) (rate(weir_backend_calls_total"
                    f'{{code=~"UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL|UNKNOWN"}}[{WINDOW}]))'
                },
                unit="reqps",
                bounds=_RARE,
            )
        )
        .with_panel(
            graph(
                "Time by service, p95",
                "How long the gateway waits for each service. Compare with the latency above.",
                {
                    "{{backend}}": "histogram_quantile(0.95, sum by (le, backend) "
                    f"(rate(weir_backend_call_seconds_bucket[{WINDOW}])))"
                },
                unit="s",
                bounds=Bounds(0.15, 0.25),
                exemplars=True,
            )
        )
        .with_row(row("Why?"))
        .with_panel(
            graph(
                "Instances that answer",
                "By service and version; two versions at once are a roll-out. Fewer than before: "
                "they were killed, or cannot be scraped.",
                {
                    "{{service}} {{version}}": "count by (service, version) (weir_build_info)",
                },
                unit="short",
                bounds=Bounds(1, 1, low=True),
            )
        )
        .with_panel(
            graph(
                "Stores and breakers",
                "1 is trouble. Event stream away: predictions are refused. Database away: "
                "nobody can look any up. Quotas local: the quota Redis is away. Breaker: the "
                "gateway does not ask that service.",
                {
                    "event stream away": "1 - min(weir_inference_event_stream_up)",
                    "database away": "1 - max(weir_prediction_log_database_up)",
                    "quotas local": "max(weir_quota_local)",
                    "breaker {{backend}}": "max by (backend) (weir_backend_breaker_open)",
                },
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_panel(
            graph(
                "Processor time",
                "Cores that each service uses. Inference at the number of its threads is full.",
                {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total[{WINDOW}]))"},
                unit="short",
                bounds=Bounds(8, 16),
            )
        )
    )

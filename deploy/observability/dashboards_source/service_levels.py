"""What was promised for a month, and how much of it may still go wrong."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.overview import ASKED, ONE_TEXT
from dashboards_source.panels import Bounds, graph, number, page, row

_BUDGETS = {"availability": 0.001, "latency": 0.05}
_WINDOWS = ("5m", "30m", "1h", "6h", "1d", "3d")
_BAD_IN_A_MONTH = {
    "availability": f'sum(increase(weir_http_requests_total{{{ASKED},status=~"5.."}}[30d])) '
    f"/ sum(increase(weir_http_requests_total{{{ASKED}}}[30d]))",
    "latency": "1 - sum(increase(weir_http_request_seconds_bucket"
    f'{{{ONE_TEXT},le="0.25"}}[30d])) '
    f"/ sum(increase(weir_http_request_seconds_count{{{ONE_TEXT}}}[30d]))",
}
_PROMISES = {
    "availability": "99.9 % of requests are answered without a fault of ours.",
    "latency": "95 % of predictions for one text are answered within 0.25 s.",
}


def service_levels() -> Dashboard:
    """The budget of errors, how fast it burns, and since when."""
    made = page(
        "service-levels", "Weir / Service levels", "Promises of 30 days, and what is left of them."
    ).time("now-7d", "now")
    made = made.with_row(row("Are users hurt?"))
    for objective, budget in _BUDGETS.items():
        made = made.with_panel(
            number(
                f"Budget left: {objective}",
                f"{_PROMISES[objective]} What is left of the share that may fail in 30 days; below "
                "zero the promise is broken, and changes that can wait should.",
                f"1 - ({_BAD_IN_A_MONTH[objective]}) / {budget}",
                unit="percentunit",
                bounds=Bounds(0.5, 0.1, low=True),
            )
        ).with_panel(
            number(
                f"Burn rate: {objective}",
                "How many times as fast as the budget allows it is spent, in the last hour. At "
                "14.4 the month's budget is gone in two days, and a page is sent.",
                f'weir:bad_requests:ratio_rate1h{{objective="{objective}"}} / {budget}',
                unit="short",
                bounds=Bounds(1, 6),
            )
        )
    made = made.with_row(row("Since when?"))
    for objective, budget in _BUDGETS.items():
        made = made.with_panel(
            graph(
                f"Burn rates: {objective}",
                "By window. A page needs both of 5m and 1h above 14.4, or of 30m and 6h above 6.",
                {
                    window: f'weir:bad_requests:ratio_rate{window}{{objective="{objective}"}} '
                    f"/ {budget}"
                    for window in _WINDOWS
                },
                unit="short",
                bounds=Bounds(1, 14.4),
                span=12,
            )
        )
    made = made.with_row(row("Which requests?"))
    return made.with_panel(
        graph(
            "Failed requests by route",
            "Within six hours, and so what the budget was spent on.",
            {
                "{{route}} {{status}}": "sum by (route, status) "
                f'(increase(weir_http_requests_total{{{ASKED},status=~"5.."}}[6h])) > 0'
            },
            unit="short",
            bounds=Bounds(1, 100),
            span=12,
        )
    ).with_panel(
        graph(
            "Slow predictions by route",
            "That took longer than 0.25 s, within six hours.",
            {
                "{{route}}": "sum by (route) "
                f"(increase(weir_http_request_seconds_count{{{ONE_TEXT}}}[6h])) - sum by (route) "
                f'(increase(weir_http_request_seconds_bucket{{{ONE_TEXT},le="0.25"}}[6h]))'
            },
            unit="short",
            bounds=Bounds(1, 1000),
            span=12,
        )
    )

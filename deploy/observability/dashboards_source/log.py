"""The books: what waits to be written, how fast it is, and what PostgreSQL has to say."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.panels import WINDOW, Bounds, graph, number, page, quantiles, row

_METHODS = 'job=~".*prediction-log",method!~"/grpc[.].*"'


def log() -> Dashboard:
    """Streams, batches, queries, pools, retention and the audit trail."""
    return (
        page("log", "Weir / Prediction log", "Whether all that happened is on the books.")
        .with_row(row("Are users hurt?"))
        .with_panel(
            number(
                "Behind",
                "Age of the oldest event that is not written. Users see predictions later than "
                "they made them; nothing is lost.",
                "max(weir_prediction_log_oldest_waiting_seconds)",
                unit="s",
                bounds=Bounds(60, 900),
            )
        )
        .with_panel(
            number(
                "Waiting",
                "Events that are not written yet, of all streams.",
                "sum(max by (stream) (weir_prediction_log_waiting_entries))",
                unit="short",
                bounds=Bounds(10_000, 100_000),
            )
        )
        .with_panel(
            number(
                "Dead letters in a day",
                "Events that can never become rows; `python -m prediction_log dead-letters list` "
                "shows them.",
                "sum(increase(weir_prediction_log_dead_letters_total[1d]))",
                unit="short",
                bounds=Bounds(0.5, 10),
            )
        )
        .with_panel(
            number(
                "Database",
                "0 while it is away or not migrated: nobody can look anything up.",
                "max(weir_prediction_log_database_up)",
                unit="short",
                bounds=Bounds(1, 1, low=True),
            )
        )
        .with_panel(
            number(
                "Queries, p95",
                "Of the log's gRPC methods, streams left out.",
                "histogram_quantile(0.95, sum by (le) (rate(weir_grpc_server_call_seconds_bucket"
                f'{{{_METHODS},method!~".*(Export|Append).*"}}[5m])))',
                unit="s",
                bounds=Bounds(0.25, 1),
            )
        )
        .with_panel(
            number(
                "Audit trail",
                "1 while its end does not follow from its last signed checkpoint.",
                "max(weir_prediction_log_audit_chain_broken)",
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_row(row("Where?"))
        .with_panel(
            graph(
                "Age by stream",
                "Of the oldest event that is not written.",
                {"{{stream}}": "max by (stream) (weir_prediction_log_oldest_waiting_seconds)"},
                unit="s",
                bounds=Bounds(60, 900),
            )
        )
        .with_panel(
            graph(
                "Events that come and rows that are written",
                "A second, by stream. As long as more come than are written, the age grows.",
                {
                    "come {{stream}}": "sum by (stream) "
                    f"(rate(weir_events_published_total[{WINDOW}]))",
                    "{{outcome}} {{stream}}": "sum by (stream, outcome) "
                    f"(rate(weir_prediction_log_rows_total[{WINDOW}]))",
                },
                unit="short",
                bounds=Bounds(2000, 5000),
            )
        )
        .with_panel(
            graph(
                "Failed calls",
                "Of the log's gRPC methods, by code, a second.",
                {
                    "{{method}} {{code}}": "sum by (method, code) "
                    "(rate(weir_grpc_server_calls_total"
                    f'{{{_METHODS},code=~"UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED"}}[{WINDOW}]))'
                },
                unit="reqps",
                bounds=Bounds(0.1, 1),
            )
        )
        .with_row(row("Why?"))
        .with_panel(
            graph(
                "Time of a batch until its commit",
                "By stream, p95. Seconds: PostgreSQL is busy, or its disk is.",
                {
                    "{{stream}}": "histogram_quantile(0.95, sum by (le, stream) "
                    f"(rate(weir_prediction_log_batch_seconds_bucket[{WINDOW}])))"
                },
                unit="s",
                bounds=Bounds(1, 5),
            )
        )
        .with_panel(
            graph(
                "Connections in use",
                "Share of each pool. At 100 % the next one waits, two seconds at most.",
                {
                    "{{pool}}": "max by (pool) (sum by (instance, pool) "
                    '(weir_prediction_log_database_connections{state="in_use"}) '
                    "/ sum by (instance, pool) (weir_prediction_log_database_most_connections))"
                },
                unit="percentunit",
                bounds=Bounds(0.8, 1),
            )
        )
        .with_panel(
            graph(
                "Wait for a connection",
                "Until a transaction had one; opening it included.",
                quantiles("weir_prediction_log_database_wait_seconds", by="pool"),
                unit="s",
                bounds=Bounds(0.1, 1),
            )
        )
        .with_panel(
            graph(
                "Memory of the streams",
                "In Redis, by stream. When Redis is full, predictions are refused.",
                {"{{stream}}": "max by (stream) (weir_prediction_log_stream_bytes)"},
                unit="bytes",
                bounds=Bounds(256 * 1024**2, 512 * 1024**2),
            )
        )
        .with_panel(
            graph(
                "Tries that failed",
                "To read or to write a batch, a second; each is tried until it succeeds.",
                {
                    "{{stream}} {{error}}": "sum by (stream, error) "
                    f"(rate(weir_events_consume_failures_total[{WINDOW}]))"
                },
                unit="short",
                bounds=Bounds(0.1, 1),
            )
        )
        .with_panel(
            graph(
                "Promises about data",
                "Months that should be gone, erasures that are not complete, and texts that could "
                "not be opened.",
                {
                    "months over their time": "max(weir_prediction_log_retention_tables_waiting)",
                    "audit rows kept": "max(weir_prediction_log_audit_retention_refused)",
                    "erasures running": "max(weir_prediction_log_erasures_running)",
                    "unopened": f"sum(rate(weir_prediction_log_unopened_inputs_total[{WINDOW}]))",
                },
                unit="short",
                bounds=Bounds(0.5, 5),
            )
        )
    )

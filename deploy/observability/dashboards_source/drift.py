"""The watch: whether what models see and say differs from what they learnt on."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.panels import WINDOW, Bounds, graph, number, page, row


def drift() -> Dashboard:
    """Incidents, windows, differences and the watch's own health."""
    return (
        page("drift", "Weir / Drift", "Whether the models still know what they are asked.")
        .with_row(row("Are users hurt?"))
        .with_panel(
            number(
                "Critical incidents",
                "Open now: answers are expected to be wrong more often than before.",
                "sum(max by (model, model_version, signal_group) "
                '(weir_drift_incidents_open{severity="critical"}))',
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_panel(
            number(
                "Warnings",
                "Incidents that are open and not critical.",
                "sum(max by (model, model_version, signal_group) "
                '(weir_drift_incidents_open{severity="warning"}))',
                unit="short",
                bounds=Bounds(0.5, 5),
            )
        )
        .with_panel(
            number(
                "Behind",
                "Age of the oldest event that no window holds yet; verdicts are as late.",
                "max(weir_drift_lag_seconds)",
                unit="s",
                bounds=Bounds(60, 600),
            )
        )
        .with_panel(
            number(
                "Versions not watched",
                "Whose package has no reference that can be read.",
                "count(weir_drift_reference_usable == 0) or vector(0)",
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_row(row("Where?"))
        .with_panel(
            graph(
                "Open incidents",
                "By version and group of signals.",
                {
                    "{{model}} {{model_version}} {{signal_group}} {{severity}}": "max by "
                    "(model, model_version, signal_group, severity) (weir_drift_incidents_open)"
                },
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_panel(
            graph(
                "Distance of numbers",
                "Kolmogorov and Smirnov's, of the reported window from the reference. It is no "
                "verdict: small windows differ by chance.",
                {
                    "{{model}} {{model_version}} {{signal}}": "max by "
                    "(model, model_version, signal) "
                    '(weir_drift_difference{statistic="ks_distance"})'
                },
                unit="short",
                bounds=Bounds(0.1, 0.2),
            )
        )
        .with_panel(
            graph(
                "Rows of the window",
                "That differences are told of. With few of them they mean little.",
                {
                    "{{model}} {{model_version}}": "max by (model, model_version) "
                    "(weir_drift_window_rows)"
                },
                unit="short",
                bounds=Bounds(100, 30, low=True),
            )
        )
        .with_row(row("Why?"))
        .with_panel(
            graph(
                "Events",
                "Applied, repeated and skipped a second, by stream. Skipped ones made no sense.",
                {
                    "applied {{stream}}": "sum by (stream) "
                    f"(rate(weir_drift_events_applied_total[{WINDOW}]))",
                    "repeated {{stream}}": "sum by (stream) "
                    f"(rate(weir_drift_events_repeated_total[{WINDOW}]))",
                    "skipped {{stream}} {{reason}}": "sum by (stream, reason) "
                    f"(rate(weir_drift_events_skipped_total[{WINDOW}]))",
                },
                unit="short",
                bounds=Bounds(2000, 5000),
            )
        )
        .with_panel(
            graph(
                "Lag by stream",
                "Age of the oldest event that was not applied.",
                {"{{stream}}": "max by (stream) (weir_drift_lag_seconds)"},
                unit="s",
                bounds=Bounds(60, 600),
            )
        )
        .with_panel(
            graph(
                "Windows closed",
                "In an hour, by what came of them. None for long: no traffic, or the watch "
                "stands still. `not_judged`: no reference, or not enough data; `set_aside`: "
                "judging failed.",
                {
                    "{{model}} {{model_version}} {{outcome}}": "sum by "
                    "(model, model_version, outcome) (increase(weir_drift_windows_total[1h]))"
                },
                unit="short",
                bounds=Bounds(100, 1000),
            )
        )
    )

"""The models: what waits, what runs together, how long it takes and what is refused."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards_source.panels import WINDOW, Bounds, graph, number, page, quantiles, row


def inference() -> Dashboard:
    """Queue, batches, models and records."""
    return (
        page("inference", "Weir / Inference", "What the models do, and what waits for them.")
        .with_row(row("Are users hurt?"))
        .with_panel(
            number(
                "Predictions",
                "Recorded a second, of all models.",
                "sum(rate(weir_inference_predictions_total[5m]))",
                unit="short",
                bounds=Bounds(0.01, 0, low=True),
            )
        )
        .with_panel(
            number(
                "Refused for load",
                "Items a second that were refused at once, because they would wait too long.",
                'sum(rate(weir_inference_rejections_total{fault="SATURATED"}[5m]))',
                unit="short",
                bounds=Bounds(0.1, 5),
            )
        )
        .with_panel(
            number(
                "Too late",
                "Items a second whose time was up before they could run.",
                'sum(rate(weir_inference_dropped_total{reason="deadline"}[5m]))',
                unit="short",
                bounds=Bounds(0.01, 1),
            )
        )
        .with_panel(
            number(
                "Model failures",
                "Items a second that the model itself failed on; the log has the traceback.",
                'sum(rate(weir_inference_rejections_total{fault="MODEL_FAILED"}[5m]))',
                unit="short",
                bounds=Bounds(0.001, 0.1),
            )
        )
        .with_panel(
            number(
                "Event stream",
                "0 while records cannot be appended; predictions are refused then.",
                "min(weir_inference_event_stream_up)",
                unit="short",
                bounds=Bounds(1, 1, low=True),
            )
        )
        .with_panel(
            number(
                "Unlogged in a day",
                "Predictions that were answered and are in no book. Zero is a promise.",
                "sum(increase(weir_inference_unlogged_total[1d]))",
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
        .with_row(row("Where?"))
        .with_panel(
            graph(
                "Predictions by version",
                "A second. A roll-out shows as shares that move.",
                {
                    "{{model}} {{model_version}}": "sum by (model, model_version) "
                    f"(rate(weir_inference_predictions_total[{WINDOW}]))"
                },
                unit="short",
                bounds=Bounds(500, 1000),
            )
        )
        .with_panel(
            graph(
                "Wait for a batch",
                "From an item's arrival until its batch began. Beyond 0.4 s further ones are "
                "refused.",
                quantiles("weir_inference_wait_seconds"),
                unit="s",
                bounds=Bounds(0.2, 0.4),
            )
        )
        .with_panel(
            graph(
                "Time of a batch in the model",
                "By model. It grows with the texts' length and with cores that others use.",
                {
                    "p95 {{model}}": "histogram_quantile(0.95, sum by (le, model) "
                    f"(rate(weir_inference_run_seconds_bucket[{WINDOW}])))"
                },
                unit="s",
                bounds=Bounds(0.1, 0.25),
            )
        )
        .with_row(row("Why?"))
        .with_panel(
            graph(
                "Queue and work",
                "Items that wait, and batches that run of those that may. Items wait while not all "
                "threads run: encoding is the bottleneck.",
                {
                    "items waiting": "sum(weir_inference_waiting_items)",
                    "items under way": "sum(weir_inference_items)",
                    "batches running": "sum(weir_inference_running_batches)",
                    "threads": "sum(weir_inference_threads)",
                },
                unit="short",
                bounds=Bounds(64, 256),
            )
        )
        .with_panel(
            graph(
                "Items in a batch",
                "On average and at the 95th percentile. It grows with the load; 1 means that there "
                "is none.",
                {
                    "average": f"sum(rate(weir_inference_batch_items_sum[{WINDOW}])) "
                    f"/ sum(rate(weir_inference_batch_items_count[{WINDOW}]))",
                    "p95": quantiles("weir_inference_batch_items")["p95"],
                },
                unit="short",
                bounds=Bounds(32, 64),
            )
        )
        .with_panel(
            graph(
                "Share of padding",
                "Of all tokens that were run. Much of it: texts of very different length share "
                "batches.",
                {
                    "padding": f"1 - sum(rate(weir_inference_tokens_total[{WINDOW}])) "
                    f"/ sum(rate(weir_inference_padded_tokens_total[{WINDOW}]))"
                },
                unit="percentunit",
                bounds=Bounds(0.25, 0.5),
            )
        )
        .with_panel(
            graph(
                "Items not predicted",
                "By reason. TEXT_… and INPUT_…: the callers' own. SATURATED: more load than cores.",
                {
                    "{{fault}}": "sum by (fault) "
                    f"(rate(weir_inference_rejections_total[{WINDOW}])) > 0"
                },
                unit="short",
                bounds=Bounds(1, 10),
            )
        )
        .with_panel(
            graph(
                "Time to record",
                "Until Redis acknowledged the records of a call. Every prediction waits for it.",
                quantiles(
                    "weir_events_publish_seconds",
                    'stream=~"weir:predictions:.*",job=~".*inference"',
                ),
                unit="s",
                bounds=Bounds(0.025, 0.1),
            )
        )
        .with_panel(
            graph(
                "Repository and shadows",
                "Faults of the model repository now; inputs a second that shadow versions did not "
                "answer, by reason.",
                {
                    "faults": "max(weir_inference_repository_faults)",
                    "shadow {{reason}}": "sum by (reason) "
                    f"(rate(weir_inference_shadow_dropped_total[{WINDOW}]))",
                },
                unit="short",
                bounds=Bounds(0.5, 1),
            )
        )
    )

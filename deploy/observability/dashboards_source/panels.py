"""The panels and the page that all dashboards are made of.

Every panel has a unit, a description that says what to think of it, and thresholds: where it turns
yellow one should look, where it turns red somebody is hurt or soon will be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as dashboard_builder
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

WINDOW = "$__rate_interval"
_TAG = "weir"
_DATASOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_STAT_SPAN, _STAT_HEIGHT = 4, 4
_GRAPH_SPAN, _GRAPH_HEIGHT = 8, 8


@dataclass(frozen=True)
class Bounds:
    """Where a value turns yellow and where red; above them, or below where `low` is bad."""

    warn: float
    bad: float
    low: bool = False

    def steps(self) -> dashboard_builder.ThresholdsConfig:
        """As Grafana has it, from the least value up."""
        if self.low:
            steps = [(None, "red"), (self.bad, "yellow"), (self.warn, "green")]
        else:
            steps = [(None, "green"), (self.warn, "yellow"), (self.bad, "red")]
        return (
            dashboard_builder.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=value, color=colour) for value, colour in steps])
        )


def number(
    title: str, description: str, query: str, *, unit: str, bounds: Bounds, no_value: str = "–"
) -> stat.Panel:
    """One number, coloured by its bounds, with its recent past behind it."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(_DATASOURCE)
        .span(_STAT_SPAN)
        .height(_STAT_HEIGHT)
        .unit(unit)
        .no_value(no_value)
        .thresholds(bounds.steps())
        .with_target(prometheus.Dataquery().expr(query).legend_format(title).ref_id("A"))
    )


def graph(
    title: str,
    description: str,
    queries: Mapping[str, str],
    *,
    unit: str,
    bounds: Bounds,
    span: int = _GRAPH_SPAN,
    exemplars: bool = False,
) -> timeseries.Panel:
    """Lines over time.

    Args:
        queries: by their legend.
        exemplars: shows traces as points on it, where the metric carries them.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_DATASOURCE)
        .span(span)
        .height(_GRAPH_HEIGHT)
        .unit(unit)
        .min(0)
        .thresholds(bounds.steps())
        .thresholds_style(
            common_builder.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        )
        .fill_opacity(8)
        .legend(
            common_builder.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    for place, (legend, query) in enumerate(queries.items()):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(65 + place))
        panel = panel.with_target(target.exemplar(exemplars))
    return panel


def quantiles(metric: str, matchers: str = "", by: str = "") -> dict[str, str]:
    """Queries for the median, the 95th and the 99th percentile of a histogram."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"p{percent}{legend}": f"histogram_quantile({percent / 100}, "
        f"sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[{WINDOW}])))"
        for percent in (50, 95, 99)
    }


def page(uid: str, title: str, description: str) -> dashboard_builder.Dashboard:
    """An empty dashboard, with links to the others."""
    return (
        dashboard_builder.Dashboard(title)
        .uid(f"weir-{uid}")
        .description(description)
        .tags([_TAG])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(
            dashboard_builder.DatasourceVariable("datasource").label("Data").type("prometheus")
        )
        .link(
            dashboard_builder.DashboardLink("Weir").tags([_TAG]).as_dropdown(True).keep_time(True)
        )
    )


def row(title: str) -> dashboard_builder.Row:
    """Begins a row; its title is the question that it answers."""
    return dashboard_builder.Row(title)

"""Statistics that the log keeps up to date, against a count from scratch."""

from chaos.inside import query
from weir_local.platform_parts import Endpoints

_KEY = "tenant, granularity, bucket_start, model, model_version, shadow"
_COUNTS = "predictions, labelled, correct"
_LATEST = """
SELECT DISTINCT ON (tenant, prediction_id) tenant, prediction_id AS id, correct_label FROM feedback
WHERE correct_label IS NOT NULL ORDER BY tenant, prediction_id, given_at DESC, feedback.id DESC
"""
_COUNTED = f"""
SELECT tenant, minutes AS granularity, date_trunc(unit, predicted_at, 'UTC') AS bucket_start,
    model, model_version, shadow, {{label}} count(*) AS predictions,
    count(correct_label) AS labelled, count(*) FILTER (WHERE correct_label = label) AS correct
FROM prediction_logs LEFT JOIN ({_LATEST}) AS latest USING (tenant, id),
    (VALUES (60, 'hour'), (1440, 'day')) AS bucket (minutes, unit)
GROUP BY {_KEY}
"""
_TOTALS = _COUNTED.format(label="")
_LABELS = f"{_COUNTED.format(label='label,')}, label"
_KEPT_TOTALS = f"SELECT {_KEY}, {_COUNTS} FROM prediction_rollups"
_KEPT_LABELS = f"SELECT {_KEY}, label, {_COUNTS} FROM prediction_rollup_labels"
_HISTOGRAMS = """
SELECT bucket_start, predictions FROM prediction_rollups
WHERE predictions <> (SELECT sum(count) FROM unnest(confidence_histogram) AS count)
    OR predictions <> (SELECT sum(count) FROM unnest(latency_histogram) AS count)
"""


def wrong_rollups(endpoints: Endpoints) -> list[str]:
    """One line for each count that is kept and not so, or is so and not kept."""
    wrong = []
    for counted, kept in ((_TOTALS, _KEPT_TOTALS), (_LABELS, _KEPT_LABELS)):
        for what, first, second in (("kept", kept, counted), ("counted", counted, kept)):
            rows = query(endpoints, f"({first}) EXCEPT ({second})")
            wrong += [f"{what}: {dict(row)}" for row in rows]
    rows = query(endpoints, _HISTOGRAMS)
    return wrong + [f"histogram of another number: {dict(row)}" for row in rows]

"""Counts by hour and day, kept by the database itself: exactly once, whoever inserts.

Each statement that inserts predictions or feedback adds what it inserted, in its own transaction.
From the trigger to the commit, inserts of predictions share a lock and feedback has it alone: of a
prediction and the feedback on it, the one that comes second sees the first. Those who share it
lock rows in the order of their keys. What was there before the triggers is counted by the backfill,
after the migration.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SLOWEST_MS = 60_000.0


def _latency_edges() -> list[float]:
    edges = [0.05]
    while edges[-1] * 1.07 < _SLOWEST_MS:
        edges.append(edges[-1] * 1.07)
    return [*edges, _SLOWEST_MS]


def _array(values: list[float]) -> str:
    return f"'{{{','.join(map(repr, values))}}}'::double precision[]"


_FUNCTIONS = {
    "rollup_hour(timestamptz)": """
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('1 hour', $1, '1970-01-01 00:00+00')
""",
    "rollup_day(timestamptz)": """
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('1 day', $1, '1970-01-01 00:00+00')
""",
    # Positions in the 100 and in the 209 bins count from 1; not a number counts as the largest.
    "rollup_confidence_bin(double precision)": f"""
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(width_bucket($1, {_array([step / 100 for step in range(100)])}), 1)
""",
    "rollup_latency_bin(double precision)": f"""
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN width_bucket($1, {_array(_latency_edges())}) + 1
""",
    "rollup_histogram(positions integer[], bins integer)": """
RETURNS integer[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    histogram integer[] := array_fill(0, ARRAY[bins]);
    bin integer;
BEGIN
    FOREACH bin IN ARRAY positions LOOP
        histogram[bin] := histogram[bin] + 1;
    END LOOP;
    RETURN histogram;
END $$
""",
    # In PL/pgSQL, which changes an array in place: five times as fast as unnest and array_agg where
    # most of what is added is 0. Stays at the largest integer rather than refuse the rows.
    "rollup_add(total integer[], part integer[])": """
RETURNS integer[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    FOR bin IN 1 .. array_length(part, 1) LOOP
        IF part[bin] <> 0 THEN
            total[bin] := least(total[bin]::bigint + part[bin], 2147483647);
        END IF;
    END LOOP;
    RETURN total;
END $$
""",
    # Adds verdicts on predictions that are counted, or will be by the backfill.
    "rollup_verdicts(tenant varchar, hour timestamptz, model varchar, model_version varchar, "
    "shadow boolean, label varchar, labelled bigint, correct bigint)": """
RETURNS void LANGUAGE sql AS $$
INSERT INTO prediction_rollups AS kept
SELECT $1, granularity, bucket_start, $3, $4, $5, 0, 0,
    rollup_histogram('{}', 100), rollup_histogram('{}', 209), $7, $8
FROM (VALUES (60::smallint, $2), (1440::smallint, rollup_day($2)))
    AS bucket (granularity, bucket_start)
ON CONFLICT ON CONSTRAINT pk_prediction_rollups DO UPDATE SET
    labelled = kept.labelled + excluded.labelled,
    correct = kept.correct + excluded.correct;
INSERT INTO prediction_rollup_labels AS kept
SELECT $1, granularity, bucket_start, $3, $4, $5, $6, 0, $7, $8
FROM (VALUES (60::smallint, $2), (1440::smallint, rollup_day($2)))
    AS bucket (granularity, bucket_start)
ON CONFLICT ON CONSTRAINT pk_prediction_rollup_labels DO UPDATE SET
    labelled = kept.labelled + excluded.labelled,
    correct = kept.correct + excluded.correct;
$$
""",
    "rollup_inserted_predictions()": """
RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    oldest uuid := (SELECT id FROM inserted ORDER BY id LIMIT 1);
    newest uuid := (SELECT id FROM inserted ORDER BY id DESC LIMIT 1);
    tenants varchar[] := ARRAY(SELECT tenant FROM inserted GROUP BY tenant);
BEGIN
    IF oldest IS NULL THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') = 'repeatable read' THEN
        RAISE 'predictions and feedback are not counted exactly in REPEATABLE READ'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(7236003);
    WITH hours AS MATERIALIZED (
        SELECT tenant, rollup_hour(predicted_at) AS hour, model, model_version, shadow,
            count(*) AS predictions, sum(confidence) AS confidence_sum,
            rollup_histogram(array_agg(rollup_confidence_bin(confidence)), 100)
                AS confidence_histogram,
            rollup_histogram(array_agg(rollup_latency_bin(inference_ms)), 209)
                AS latency_histogram
        FROM inserted GROUP BY 1, 2, 3, 4, 5
    )
    INSERT INTO prediction_rollups AS kept
    SELECT tenant, 60, hour, model, model_version, shadow, predictions, confidence_sum,
        confidence_histogram, latency_histogram, 0, 0
    FROM hours
    UNION ALL
    SELECT tenant, 1440, rollup_day(hour), model, model_version, shadow, sum(predictions),
        sum(confidence_sum), rollup_sum(confidence_histogram), rollup_sum(latency_histogram), 0, 0
    FROM hours GROUP BY 1, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT ON CONSTRAINT pk_prediction_rollups DO UPDATE SET
        predictions = kept.predictions + excluded.predictions,
        confidence_sum = kept.confidence_sum + excluded.confidence_sum,
        confidence_histogram = rollup_add(kept.confidence_histogram, excluded.confidence_histogram),
        latency_histogram = rollup_add(kept.latency_histogram, excluded.latency_histogram);
    WITH hours AS MATERIALIZED (
        SELECT tenant, rollup_hour(predicted_at) AS hour, model, model_version, shadow, label,
            count(*) AS predictions
        FROM inserted GROUP BY 1, 2, 3, 4, 5, 6
    )
    INSERT INTO prediction_rollup_labels AS kept
    SELECT tenant, 60, hour, model, model_version, shadow, label, predictions, 0, 0
    FROM hours
    UNION ALL
    SELECT tenant, 1440, rollup_day(hour), model, model_version, shadow, label, sum(predictions),
        0, 0
    FROM hours GROUP BY 1, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT ON CONSTRAINT pk_prediction_rollup_labels DO UPDATE SET
        predictions = kept.predictions + excluded.predictions;
    -- Feedback that came before its prediction; the rows that it counts in are locked already.
    PERFORM rollup_verdicts(tenant, hour, model, model_version, shadow, label, labelled, correct)
    FROM (
        SELECT p.tenant, rollup_hour(p.predicted_at) AS hour, p.model, p.model_version, p.shadow,
            p.label, count(*) AS labelled,
            count(*) FILTER (WHERE p.label = f.correct_label) AS correct
        FROM (
            SELECT DISTINCT ON (tenant, prediction_id) tenant, prediction_id, correct_label
            FROM feedback
            WHERE tenant = ANY (tenants) AND prediction_id BETWEEN oldest AND newest
                AND correct_label IS NOT NULL
            ORDER BY tenant, prediction_id, given_at DESC, id DESC
        ) AS f
        JOIN inserted AS p ON p.id = f.prediction_id AND p.tenant = f.tenant
        GROUP BY 1, 2, 3, 4, 5, 6
    ) AS verdicts;
    RETURN NULL;
END $$
""",
    "rollup_inserted_feedback()": """
RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM inserted WHERE correct_label IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') = 'repeatable read' THEN
        RAISE 'predictions and feedback are not counted exactly in REPEATABLE READ'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    PERFORM pg_advisory_xact_lock(7236003);
    PERFORM rollup_verdicts(tenant, hour, model, model_version, shadow, label, labelled, correct)
    FROM (
        SELECT p.tenant, rollup_hour(p.predicted_at) AS hour, p.model, p.model_version, p.shadow,
            p.label, count(*) FILTER (WHERE before.correct_label IS NULL) AS labelled,
            sum((now.correct_label = p.label)::integer
                - coalesce(before.correct_label = p.label, false)::integer) AS correct
        FROM (
            SELECT DISTINCT tenant, prediction_id FROM inserted WHERE correct_label IS NOT NULL
        ) AS told
        JOIN prediction_logs AS p ON p.id = told.prediction_id AND p.tenant = told.tenant
        CROSS JOIN LATERAL (
            SELECT correct_label FROM feedback AS f
            WHERE f.tenant = p.tenant AND f.prediction_id = p.id AND correct_label IS NOT NULL
            ORDER BY f.given_at DESC, f.id DESC LIMIT 1
        ) AS now
        LEFT JOIN LATERAL (
            SELECT correct_label FROM feedback AS f
            WHERE f.tenant = p.tenant AND f.prediction_id = p.id AND correct_label IS NOT NULL
                AND NOT EXISTS (SELECT FROM inserted WHERE inserted.id = f.id)
            ORDER BY f.given_at DESC, f.id DESC LIMIT 1
        ) AS before ON true
        GROUP BY 1, 2, 3, 4, 5, 6
    ) AS verdicts
    WHERE labelled <> 0 OR correct <> 0;
    RETURN NULL;
END $$
""",
}


def upgrade() -> None:
    """Makes tables, functions and triggers."""
    key = ["tenant", "granularity", "bucket_start", "model", "model_version", "shadow"]
    op.create_table(
        "prediction_rollups",
        *_key(),
        sa.Column("predictions", sa.BigInteger, nullable=False),
        sa.Column("confidence_sum", sa.Double, nullable=False),
        sa.Column("confidence_histogram", ARRAY(sa.Integer), nullable=False),
        sa.Column("latency_histogram", ARRAY(sa.Integer), nullable=False),
        sa.Column("labelled", sa.BigInteger, nullable=False),
        sa.Column("correct", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_prediction_rollups"),
    )
    op.create_table(
        "prediction_rollup_labels",
        *_key(),
        sa.Column("label", sa.String(256), nullable=False),
        sa.Column("predictions", sa.BigInteger, nullable=False),
        sa.Column("labelled", sa.BigInteger, nullable=False),
        sa.Column("correct", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*key, "label", name="pk_prediction_rollup_labels"),
    )
    op.create_table(
        "prediction_rollup_backfill",
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("completed_at", name="pk_prediction_rollup_backfill"),
    )
    # The row of the running hour is written many times a second: room for its versions on its page.
    op.execute("ALTER TABLE prediction_rollups SET (fillfactor = 40)")
    op.execute("ALTER TABLE prediction_rollup_labels SET (fillfactor = 70)")
    for signature, body in _FUNCTIONS.items():
        if signature.startswith("rollup_inserted_predictions"):
            op.execute(
                "CREATE AGGREGATE rollup_sum(integer[]) (SFUNC = rollup_add, STYPE = integer[])"
            )
        op.execute(f"CREATE FUNCTION {signature} {body}")
    for table in ("prediction_logs", "feedback"):
        function = "rollup_inserted_" + ("feedback" if table == "feedback" else "predictions")
        op.execute(
            f"CREATE TRIGGER {function} AFTER INSERT ON {table} REFERENCING NEW TABLE AS inserted "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def downgrade() -> None:
    """Drops all of it."""
    op.execute("DROP TRIGGER rollup_inserted_feedback ON feedback")
    op.execute("DROP TRIGGER rollup_inserted_predictions ON prediction_logs")
    op.execute("DROP AGGREGATE rollup_sum(integer[])")
    for signature in reversed(_FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature.partition('(')[0]}")
    op.drop_table("prediction_rollup_backfill")
    op.drop_table("prediction_rollup_labels")
    op.drop_table("prediction_rollups")


def _key() -> list[sa.Column[object]]:
    return [
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("granularity", sa.SmallInteger, nullable=False),
        sa.Column("bucket_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
    ]

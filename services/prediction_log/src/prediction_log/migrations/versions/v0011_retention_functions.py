"""Months and leaves whose time is over go by functions of the tables' owner.

The service need not own a table, nor be able to delete predictions otherwise: the functions refuse
months that are not over.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SIGNATURES = (
    "weir_detach_expired(text)",
    "weir_forget_feedback(text, uuid, integer)",
    "weir_drop_expired(text)",
    "weir_delete_expired(text, text[], timestamptz[], timestamptz, integer)",
)


def upgrade() -> None:
    """Makes the functions; nobody may call them yet but their owner."""
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema)").scalar_one()
    for declaration, body in (
        ("weir_detach_expired(leaf text) RETURNS boolean", _DETACH),
        (
            "weir_forget_feedback(gone text, after uuid, most integer, "
            "OUT last uuid, OUT removed bigint)",
            _FORGET_FEEDBACK,
        ),
        ("weir_drop_expired(gone text) RETURNS boolean", _DROP),
        (
            "weir_delete_expired(leaf text, classes text[], befores timestamptz[], "
            "otherwise timestamptz, most integer) RETURNS bigint",
            _DELETE,
        ),
    ):
        op.execute(
            f"CREATE OR REPLACE FUNCTION {declaration} LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = {schema}, pg_temp SET lock_timeout = '500ms' "
            f"SET timezone = 'UTC' AS $body${body}$body$"
        )
    for function in _SIGNATURES:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")


def downgrade() -> None:
    """Drops them, and what was detached and not dropped yet."""
    gone = op.get_bind().exec_driver_sql(
        "SELECT relname FROM pg_class WHERE relname ~ '^gone_prediction_logs_y' "
        "AND relnamespace = current_schema::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    )
    for table in gone.scalars().all():
        op.execute(f"DROP TABLE {table}")
    for function in _SIGNATURES:
        op.execute(f"DROP FUNCTION {function}")


# Takes a month, or a month's leaf, out of the table and marks it; whether it was there.
_DETACH = """
DECLARE
    found text[] := regexp_match(leaf, '^prediction_logs_y([0-9]{4})m([0-9]{2})(_[a-z0-9_]+)?$');
    parent text;
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'not a month of the predictions: %', leaf;
    END IF;
    IF make_date(found[1]::integer, found[2]::integer, 1) + interval '1 month' > now() THEN
        RAISE EXCEPTION 'the month is not over: %', leaf;
    END IF;
    SELECT p.relname INTO parent FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
    WHERE inhrelid = to_regclass(leaf);
    IF parent IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, leaf);
    EXECUTE format('ALTER TABLE %I RENAME TO %I', leaf, 'gone_' || leaf);
    RETURN true;
END
"""

_CHECK_GONE = """
    IF gone !~ '^gone_prediction_logs_y[0-9]{4}m[0-9]{2}(_[a-z0-9_]+)?$'
        OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(gone)) THEN
        RAISE EXCEPTION 'not detached: %', gone;
    END IF;
"""

# Removes the feedback on the next so many predictions; returns the last one's id, null at the end.
_FORGET_FEEDBACK = f"""
BEGIN
    {_CHECK_GONE}
    IF to_regclass(gone) IS NULL THEN
        removed := 0;
        RETURN;
    END IF;
    EXECUTE format(
        'WITH batch AS (SELECT id, tenant FROM %I WHERE id > $1 ORDER BY id LIMIT $2), '
        'removed AS (DELETE FROM feedback USING batch WHERE feedback.tenant = batch.tenant '
        'AND feedback.prediction_id = batch.id RETURNING 1) '
        'SELECT (SELECT id FROM batch ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM removed)',
        gone
    ) INTO last, removed USING after, most;
END
"""

_DROP = f"""
BEGIN
    {_CHECK_GONE}
    IF to_regclass(gone) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', gone);
    RETURN true;
END
"""

# Deletes at most so many rows, and the feedback on them, from a leaf that holds several classes:
# what is older than its class allows, or than `otherwise` for classes that are not named.
_DELETE = """
DECLARE
    deleted bigint;
    newest timestamptz := (SELECT max(before) FROM unnest(befores || otherwise) AS before);
    ids uuid[] := ARRAY(
        SELECT weir_first_id(before) FROM unnest(befores) WITH ORDINALITY AS b (before, place)
        ORDER BY place
    );
BEGIN
    IF leaf !~ '^prediction_logs(_y[0-9]{4}m[0-9]{2})?_default$' THEN
        RAISE EXCEPTION 'not a leaf of several classes: %', leaf;
    END IF;
    IF newest IS NULL OR newest > now() THEN
        RAISE EXCEPTION 'not over: %', newest;
    END IF;
    EXECUTE format(
        'WITH expired AS (SELECT ctid FROM %I AS kept WHERE id < $5 AND id < coalesce('
        '(SELECT before FROM unnest($1, $2) AS cut (class, before) '
        'WHERE class = kept.retention_class), $3) LIMIT $4), '
        'gone AS (DELETE FROM %1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM expired)) '
        'RETURNING id, tenant), '
        'opinions AS (DELETE FROM feedback USING gone WHERE feedback.tenant = gone.tenant '
        'AND feedback.prediction_id = gone.id) '
        'SELECT count(*) FROM gone', leaf
    ) INTO deleted USING classes, ids, weir_first_id(otherwise), most, weir_first_id(newest);
    RETURN deleted;
END
"""

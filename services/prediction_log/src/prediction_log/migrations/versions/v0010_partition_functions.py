"""Months are made by a function of the tables' owner, so that the service need not own tables."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the functions; nobody may call them yet but their owner."""
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema)").scalar_one()
    for name, body in (
        ("weir_first_id(moment timestamptz) RETURNS uuid", _FIRST_ID),
        ("weir_columns() RETURNS text", _COLUMNS),
        ("weir_make_leaf(month text, leaf text, classes text[]) RETURNS boolean", _MAKE_LEAF),
        ("weir_make_month(first_day date, leaves jsonb) RETURNS text[]", _MAKE_MONTH),
    ):
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name} LANGUAGE plpgsql SECURITY DEFINER "
            # PostgreSQL's own come first by themselves, anybody's temporary ones last: nobody can
            # put objects in front of the ones that are meant.
            f"SET search_path = {schema}, pg_temp SET lock_timeout = '500ms' "
            f"SET timezone = 'UTC' AS $body${body}$body$"
        )
        function = name.partition(" RETURNS")[0]
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")


def downgrade() -> None:
    """Drops them."""
    for function in (
        "weir_make_month(date, jsonb)",
        "weir_make_leaf(text, text, text[])",
        "weir_columns()",
        "weir_first_id(timestamptz)",
    ):
        op.execute(f"DROP FUNCTION {function}")


# No UUIDv7 of that millisecond, or of a later one, sorts before it.
_FIRST_ID = """
BEGIN
    RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
        || repeat('0', 20))::uuid;
END
"""

_COLUMNS = """
BEGIN
    RETURN (
        SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
        WHERE attrelid = 'prediction_logs'::regclass AND attnum > 0 AND NOT attisdropped
            AND attgenerated = ''
    );
END
"""

# Makes the leaf of some classes in a month that lacks it; whether it did. What the month's leaf of
# all other classes holds of them moves.
_MAKE_LEAF = """
DECLARE
    rest text := month || '_default';
BEGIN
    IF leaf !~ '^prediction_logs_y[0-9]{4}m[0-9]{2}_[a-z][a-z0-9_]{0,31}$' THEN
        RAISE EXCEPTION 'not the name of a leaf: %', leaf;
    END IF;
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', rest);
    EXECUTE format('CREATE TABLE %I (LIKE prediction_logs INCLUDING ALL)', leaf);
    EXECUTE format(
        'WITH gone AS (DELETE FROM %I WHERE retention_class = ANY ($1) RETURNING *) '
        'INSERT INTO %I (%s) SELECT %3$s FROM gone', rest, leaf, weir_columns()
    ) USING classes;
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', month, leaf,
        (SELECT string_agg(quote_literal(class), ', ') FROM unnest(classes) AS class)
    );
    RETURN true;
END
"""

# Makes the month that begins on a day, with a leaf for each of `leaves` (the leaf's name to its
# classes) and one for all others, or the leaves that a month lacks. Returns what it made.
_MAKE_MONTH = """
DECLARE
    month text := 'prediction_logs_y' || to_char(first_day, 'YYYY"m"MM');
    low uuid := weir_first_id(first_day);
    high uuid := weir_first_id(first_day + interval '1 month');
    kind "char" := (SELECT relkind FROM pg_class WHERE oid = to_regclass(month));
    made text[] := '{}';
    name text;
BEGIN
    IF extract(day FROM first_day) <> 1 THEN
        RAISE EXCEPTION 'not the first day of a month: %', first_day;
    END IF;
    IF kind IS NULL THEN
        EXECUTE 'LOCK TABLE prediction_logs_default IN ACCESS EXCLUSIVE MODE';
        -- Made apart and attached: CREATE ... PARTITION OF would lock the whole table, and fail
        -- if the default partition holds rows of the month.
        EXECUTE format(
            'CREATE TABLE %I (LIKE prediction_logs INCLUDING ALL) '
            'PARTITION BY LIST (retention_class)', month
        );
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', month || '_default', month);
    ELSIF kind <> 'p' THEN
        -- Made by the version before the classes.
        RETURN made;
    END IF;
    FOR name IN SELECT jsonb_object_keys(leaves) LOOP
        -- What names no class stays where it is for the months that are there already.
        IF weir_make_leaf(
            month, month || '_' || name,
            ARRAY(
                SELECT class FROM jsonb_array_elements_text(leaves -> name) AS class
                WHERE class <> '' OR kind IS NULL
            )
        ) THEN
            made := made || (month || '_' || name);
        END IF;
    END LOOP;
    IF kind IS NULL THEN
        EXECUTE format(
            'WITH gone AS (DELETE FROM prediction_logs_default WHERE id >= $1 AND id < $2 '
            'RETURNING *) INSERT INTO %I (%s) SELECT %2$s FROM gone', month, weir_columns()
        ) USING low, high;
        EXECUTE format(
            'ALTER TABLE prediction_logs ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            month, low, high
        );
        RETURN ARRAY[month];
    END IF;
    RETURN made;
END
"""

"""The tables, as SQLAlchemy sees them. The migrations make them; a test compares the two."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from prediction_log.domain import MAX_CLASS, MAX_COMMENT, MAX_LABEL, MAX_NAME

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _name(column: str, *, nullable: bool = False) -> Column[str]:
    return Column(column, String(MAX_NAME), nullable=nullable)


def _moment(column: str, *, nullable: bool = False) -> Column[object]:
    return Column(column, DateTime(timezone=True), nullable=nullable)


def _recorded_at() -> Column[object]:
    return Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now())


PREDICTION_LOGS = Table(
    "prediction_logs",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _moment("predicted_at"),
    _name("tenant"),
    _name("client_id"),
    _name("delegate_id", nullable=True),
    _name("request_id"),
    _name("model"),
    _name("model_version"),
    Column("input_sha256", LargeBinary, nullable=False),
    Column("input_characters", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("input_unknown_tokens", Integer, nullable=False),
    Column("input_special_tokens", Integer, nullable=False),
    Column("label", String(MAX_LABEL), nullable=False),
    Column("confidence", Double, nullable=False),
    Column("probabilities", JSONB, nullable=False),
    Column("inference_ms", Double, nullable=False),
    Column("input_keeping", String(16), nullable=False, server_default="nothing"),
    Column("input_unopened", Boolean, nullable=False, server_default=false()),
    Column("subject_digest", LargeBinary),
    Column("input_text", Text),
    Column("input_ciphertext", LargeBinary),
    Column("input_key_id", Uuid),
    _moment("erased_at", nullable=True),
    _recorded_at(),
    Column("shadow", Boolean, nullable=False, server_default=false()),
    # In the key, because each month is divided by it. It comes from the event, so that an event
    # which is written again meets its own row.
    Column(
        "retention_class", String(MAX_CLASS), primary_key=True, server_default=text("'standard'")
    ),
    # Lists walk a tenant's ids backwards; ids ascend with time, so this is also the time index.
    Index(None, "tenant", "id"),
    # Finds and erases what is about a person; most rows are about nobody who was named.
    Index(
        None,
        "tenant",
        "subject_digest",
        "id",
        postgresql_where=text("subject_digest IS NOT NULL"),
    ),
    # Finds an input again. Bloom filters, because a B-tree of hashes would be written at a random
    # place for each row that comes in.
    Index(
        None,
        "input_sha256",
        postgresql_using="brin",
        postgresql_ops={
            "input_sha256": "bytea_bloom_ops(n_distinct_per_range=1000, false_positive_rate=0.002)"
        },
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    ),
    CheckConstraint("input_text IS NULL OR input_keeping = 'plain'", name="input_text"),
    CheckConstraint(
        "input_ciphertext IS NULL OR input_keeping = 'encrypted' AND input_key_id IS NOT NULL",
        name="input_ciphertext",
    ),
    postgresql_partition_by="RANGE (id)",
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _moment("given_at"),
    # No foreign key: after a replay feedback may arrive before the prediction that it is about.
    Column("prediction_id", Uuid, nullable=False),
    _name("tenant"),
    _name("client_id"),
    Column("correct_label", String(MAX_LABEL)),
    Column("score", Double),
    Column("comment", String(MAX_COMMENT)),
    _recorded_at(),
    # The latest feedback of a prediction is the last entry under its key.
    Index(None, "tenant", "prediction_id", "given_at", "id"),
)

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("stream", String(MAX_NAME), primary_key=True),
    Column("entry_id", String(MAX_NAME), primary_key=True),
    Column("type_name", String(MAX_LABEL), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    _moment("tried_at", nullable=True),
    _moment("replayed_at", nullable=True),
    _recorded_at(),
)

MODEL_DEPLOYMENTS = Table(
    "model_deployments",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _moment("deployed_at"),
    _name("model"),
    _name("model_version"),
    Column("manifest_sha256", String(64), nullable=False),
    _name("instance"),
    Column("traffic_percent", SmallInteger, nullable=False),
    _recorded_at(),
)


def _alert_columns() -> list[Column[Any]]:
    return [
        Column("revision", Integer, nullable=False, server_default="1"),
        _moment("changed_at", nullable=True),
        _moment("raised_at"),
        _moment("resolved_at", nullable=True),
        _name("tenant", nullable=True),
        _name("model"),
        _name("model_version"),
        _name("signal"),
        Column("state", String(16), nullable=False, server_default="open"),
        _name("severity"),
        Column("details", JSONB, nullable=False),
        _recorded_at(),
    ]


# Drift incidents, each as its highest revision tells it.
MONITORING_ALERTS = Table(
    "monitoring_alerts", METADATA, Column("id", Uuid, primary_key=True), *_alert_columns()
)

# The same, as each revision told it.
MONITORING_ALERT_CHANGES = Table(
    "monitoring_alert_changes",
    METADATA,
    Column("id", Uuid, nullable=False),
    *_alert_columns(),
    PrimaryKeyConstraint("id", "revision"),
)

DATASET_METRICS = Table(
    "dataset_metrics",
    METADATA,
    Column("measurement_id", Uuid, primary_key=True),
    Column("signal", String(MAX_NAME), primary_key=True),
    Column("statistic", String(MAX_NAME), primary_key=True),
    Column("value", Double, nullable=False),
    _moment("measured_at"),
    _name("model"),
    _name("model_version"),
    _moment("window_start"),
    _moment("window_end"),
    Column("rows", Integer, nullable=False),
    _recorded_at(),
)

AUDIT_LOG = Table(
    "audit_log",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _moment("occurred_at"),
    _name("action"),
    Column("outcome", String(16), nullable=False),
    _name("client_id", nullable=True),
    _name("tenant", nullable=True),
    _name("client_address", nullable=True),
    _name("request_id", nullable=True),
    _name("reason", nullable=True),
    _name("target", nullable=True),
    # A trigger refuses rows that have no place in the chain.
    Column("sequence", BigInteger),
    Column("batch", BigInteger),
    _recorded_at(),
    CheckConstraint("outcome IN ('allowed', 'refused')", name="outcome"),
    Index(None, "sequence", unique=True),
    # Lists walk them backwards.
    Index(None, "occurred_at", "id"),
    Index(None, "tenant", "occurred_at", "id"),
    Index(None, "client_id", "occurred_at", "id"),
    Index(None, "target", "occurred_at", "id", postgresql_where=text("target IS NOT NULL")),
)

AUDIT_BATCHES = Table(
    "audit_batches",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("row_count", Integer, nullable=False),
    _moment("made_at"),
    Column("row_sha256s", LargeBinary, nullable=False),
    Column("previous_sha256", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)

AUDIT_CHECKPOINTS = Table(
    "audit_checkpoints",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("key_id", String(MAX_NAME), primary_key=True),
    Column("sha256", LargeBinary, nullable=False),
    _moment("made_at"),
    Column("signature", LargeBinary, nullable=False),
)

# Up to which batch the trail has left, and what its last hash was.
AUDIT_PRUNINGS = Table(
    "audit_prunings",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    _moment("recorded_before"),
    _moment("made_at"),
    Column("key_id", String(MAX_NAME), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

SUBJECT_KEYS = Table(
    "subject_keys",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _name("tenant"),
    # Empty for the texts of the tenant that are about nobody who was named.
    Column("subject_digest", LargeBinary, nullable=False),
    _name("master_key"),
    Column("wrapped_key", LargeBinary, nullable=False),
    _recorded_at(),
    Index(None, "tenant", "subject_digest", unique=True),
)

ERASURES = Table(
    "erasures",
    METADATA,
    Column("id", Uuid, primary_key=True),
    _name("tenant"),
    Column("subject_digest", LargeBinary, nullable=False),
    _moment("requested_at"),
    _moment("completed_at", nullable=True),
    Column("redacted", BigInteger, nullable=False, server_default="0"),
    _recorded_at(),
    # Intake asks it for every prediction about somebody who was named.
    Index(None, "tenant", "subject_digest", "requested_at"),
)


def _rollup_key() -> list[Column[Any]]:
    return [
        Column("tenant", String(MAX_NAME), primary_key=True),
        # Minutes: an hour or a day.
        Column("granularity", SmallInteger, primary_key=True, autoincrement=False),
        # UTC.
        Column("bucket_start", DateTime(timezone=True), primary_key=True),
        Column("model", String(MAX_NAME), primary_key=True),
        Column("model_version", String(MAX_NAME), primary_key=True),
        Column("shadow", Boolean, primary_key=True),
    ]


# The database itself keeps these, by triggers on predictions and feedback.
PREDICTION_ROLLUPS = Table(
    "prediction_rollups",
    METADATA,
    *_rollup_key(),
    Column("predictions", BigInteger, nullable=False),
    Column("confidence_sum", Double, nullable=False),
    # The bins are those of prediction_log.histograms.
    Column("confidence_histogram", ARRAY(Integer), nullable=False),
    Column("latency_histogram", ARRAY(Integer), nullable=False),
    # Predictions whose latest feedback that names a correct label …
    Column("labelled", BigInteger, nullable=False),
    # … names the one that was predicted.
    Column("correct", BigInteger, nullable=False),
)

PREDICTION_ROLLUP_LABELS = Table(
    "prediction_rollup_labels",
    METADATA,
    *_rollup_key(),
    # The predicted one.
    Column("label", String(MAX_LABEL), primary_key=True),
    Column("predictions", BigInteger, nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("correct", BigInteger, nullable=False),
)

# A row: what was there before the triggers is counted, too.
PREDICTION_ROLLUP_BACKFILL = Table(
    "prediction_rollup_backfill",
    METADATA,
    Column("completed_at", DateTime(timezone=True), primary_key=True),
)

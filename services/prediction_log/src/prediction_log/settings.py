"""Settings of the prediction log."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from prediction_log.database import database_url
from prediction_log.retention_classes import CLASSES, RetentionClasses
from servicekit.settings import (
    EventSettings,
    GrpcServerSettings,
    TelemetrySettings,
    TokenSettings,
)


class DatabaseSettings(TelemetrySettings):
    """What every command needs. Read from WEIR_<FIELD>."""

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://weir@127.0.0.1:5432/weir"),
        description="postgresql://user:password@host:port/database of the log's database.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        database_url(value.get_secret_value())
        return value


class MigrationSettings(DatabaseSettings):
    """What `migrate` needs; its database_url is that of the tables' owner."""

    service_role: str = Field(
        default="",
        max_length=63,
        description="Role that the service runs as: `migrate` gives it what it needs and nothing "
        "else. Empty where the service owns the tables.",
    )


class RetentionSettings(DatabaseSettings):
    """How long things are kept."""

    retention_classes: dict[str, int] = Field(
        default=dict(CLASSES.days),
        min_length=1,
        description="Days that predictions are kept after the end of their month, by the retention "
        "class that their events name, as a JSON object. A class that is added gets leaves of its "
        "own from this month on.",
    )
    default_retention_class: str = Field(
        default=CLASSES.default,
        description="Class that holds for predictions which name none, or one that is not among "
        "retention_classes.",
    )

    audit_days: int = Field(
        default=400,
        ge=30,
        description="Days that rows of the audit trail are kept. They leave by whole batches up to "
        "a signed checkpoint; without audit_signing_key_file they stay.",
    )
    audit_signing_key_file: Path | None = Field(
        default=None,
        description="Ed25519 private key (PEM) that signs checkpoints of the audit trail, made by "
        "create-keys; without it nothing is signed, and who owns the database could make the "
        "whole chain anew.",
    )
    dead_letter_days: int = Field(
        default=90, ge=1, description="Days that dead letters are kept, replayed or not."
    )
    retention_batch: int = Field(
        default=5000,
        ge=1,
        le=100_000,
        description="Most rows that retention deletes in one transaction, where it cannot drop a "
        "month as a whole.",
    )

    @model_validator(mode="after")
    def _classes_are_possible(self) -> Self:
        self.classes()
        return self

    def classes(self) -> RetentionClasses:
        """The classes as one value."""
        return RetentionClasses(self.retention_classes, self.default_retention_class)


class MasterKeySettings(DatabaseSettings):
    """What `rotate-keys` needs beside the database."""

    master_keys_file: Path | None = Field(
        default=None,
        description='JSON file {"current": name, "keys": {name: base64 of 32 bytes}}: wraps the '
        "keys that texts are encrypted under. Read again when it changes.",
    )


class PrivacySettings(MasterKeySettings):
    """The log's own secrets; all of them or none. `create-keys` makes them."""

    input_sealing_private_key_file: Path | None = Field(
        default=None,
        description="X25519 private key, PEM: opens what inference seals for the log. May hold "
        "several, one after another, while one takes another's place.",
    )
    subject_secret_file: Path | None = Field(
        default=None,
        description="Key of the subjects' pseudonyms, hex, at least 32 bytes. With another one "
        "nobody is found or erased any more who was named before.",
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        files = (
            self.master_keys_file,
            self.input_sealing_private_key_file,
            self.subject_secret_file,
        )
        if any(files) and not all(files):
            raise ValueError(
                "master_keys_file, input_sealing_private_key_file and subject_secret_file are "
                "needed together"
            )
        return self


class Settings(
    RetentionSettings,
    PrivacySettings,
    GrpcServerSettings,
    TokenSettings,
    EventSettings,
    TelemetrySettings,
):
    """Read from WEIR_<FIELD>."""

    database_pool_size: int = Field(
        default=10,
        ge=1,
        description="Connections for queries; each stream has one more for writing.",
    )
    database_pool_timeout: float = Field(
        default=2.0, gt=0, description="Longest wait for a free connection, seconds."
    )
    database_connect_timeout: float = Field(
        default=3.0, gt=0, description="Longest that opening a connection may take, seconds."
    )
    database_query_timeout: float = Field(
        default=5.0, gt=0, description="Longest that a query may run, seconds."
    )
    database_write_timeout: float = Field(
        default=10.0, gt=0, description="Longest that writing a batch may take, seconds."
    )
    database_statement_cache_size: int = Field(
        default=100,
        ge=0,
        description="Prepared statements kept per connection; 0 behind a PgBouncer that pools "
        "transactions.",
    )
    database_check_interval: float = Field(
        default=1.0, gt=0, description="Seconds between two looks at whether the database answers."
    )
    erasure_interval: float = Field(
        default=5.0, gt=0, description="Seconds between two looks for people to erase."
    )
    erasure_batch: int = Field(
        default=500, ge=1, le=10_000, description="Predictions redacted in one transaction."
    )
    erasure_grace: float = Field(
        default=60.0,
        ge=0,
        description="Seconds after the request for an erasure in which predictions made before it "
        "may still come onto the streams: calls under way and clocks that differ. They are "
        "redacted whenever they come; before that no erasure is called complete.",
    )
    partitions_ahead: int = Field(
        default=2, ge=1, le=24, description="Months after this one whose partitions exist already."
    )
    partition_interval: float = Field(
        default=3600.0, gt=0, description="Seconds between two looks for missing partitions."
    )
    retention_interval: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds between two looks for predictions and dead letters whose time is "
        "over.",
    )
    batch_size: int = Field(
        default=5000,
        ge=1,
        le=10_000,
        description="Most events of a stream in one transaction. Only a backlog fills it; with a "
        "tenth of it each event would cost PostgreSQL twice the time.",
    )
    batch_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=64 * 1024,
        description="Bytes of events after which a batch is full, too; two batches are in memory.",
    )
    batch_gather: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Pause after a batch that was not full, seconds: a steady trickle of events "
        "should not cost a transaction each. At 200 a second, 0.05 costs the log twice the CPU.",
    )
    export_calls: int = Field(
        default=2,
        ge=1,
        description="Exports at the same time; each has two database connections of its own.",
    )
    append_calls: int = Field(
        default=32,
        ge=1,
        description="Append calls at the same time; further ones are refused with "
        "RESOURCE_EXHAUSTED.",
    )
    append_idle_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Longest that an Append call may send nothing, seconds; then it is ended.",
    )
    audit_checkpoint_batches: int = Field(
        default=1000, ge=1, description="Batches of audit rows after which a checkpoint is signed."
    )
    audit_checkpoint_interval: float = Field(
        default=300.0,
        gt=0,
        description="Age of the last checkpoint, seconds, at which a later batch is signed; one "
        "that comes after a longer pause is signed at once.",
    )
    claim_after: float = Field(
        default=60.0,
        gt=0,
        description="Seconds after which a batch that another replica was handed, and has not "
        "written, is taken from it; longer than a batch may take (database_write_timeout).",
    )
    trim_interval: float = Field(
        default=10.0,
        gt=0,
        description="Seconds between two rounds of trimming the streams and measuring the lag.",
    )
    consumer_group: str = Field(
        default="prediction_log", min_length=1, description="Consumer group on every stream."
    )
    predictions_streams: list[str] = Field(
        default=["weir:predictions:0"],
        min_length=1,
        description="Streams of PredictionRecorded, one for each partition, as a JSON array.",
    )
    feedback_stream: str = Field(default="weir:feedback", description="Stream of FeedbackRecorded.")
    audit_stream: str = Field(default="weir:audit", description="Stream of AuditRecorded.")
    deployments_stream: str = Field(
        default="weir:deployments", description="Stream of ModelDeployed."
    )
    incidents_stream: str = Field(
        default="weir:incidents", description="Stream of DriftIncidentChanged."
    )
    measurements_stream: str = Field(
        default="weir:measurements", description="Stream of DatasetMeasured."
    )

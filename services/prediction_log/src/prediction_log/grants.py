"""What the service's role may do: everything that is not listed here is denied.

Migrations run as the owner of the tables; the service runs as a role that owns nothing, so that who
takes it over can neither change the schema nor rewrite the audit trail. `migrate` applies the list
as a whole: what was granted before and is not here any more is taken back.
"""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_READ = "SELECT"
_ADD = "SELECT, INSERT"
_CHANGE = "SELECT, INSERT, UPDATE"
_ALL = "SELECT, INSERT, UPDATE, DELETE"

TABLES = {
    "alembic_version": _READ,
    # Updated by erasures. Deleted by the functions of retention alone.
    "prediction_logs": _CHANGE,
    "feedback": _ALL,
    "dead_letters": _ALL,
    "model_deployments": _ADD,
    "dataset_metrics": _ADD,
    "monitoring_alerts": _CHANGE,
    "monitoring_alert_changes": _ADD,
    # Append-only; a trigger says so, too. What is old leaves by the function of its retention.
    "audit_log": _ADD,
    "audit_batches": _ADD,
    "audit_checkpoints": _ADD,
    "audit_prunings": _ADD,
    "prediction_rollups": _CHANGE,
    "prediction_rollup_labels": _CHANGE,
    "prediction_rollup_backfill": _READ,
    # An erasure destroys a key.
    "subject_keys": _ALL,
    "erasures": _CHANGE,
}
"""Privileges by table. A partition needs none: who goes through its table is let in."""

FUNCTIONS = (
    "weir_make_month(date, jsonb)",
    "weir_detach_expired(text)",
    "weir_forget_feedback(text, uuid, integer)",
    "weir_drop_expired(text)",
    "weir_delete_expired(text, text[], timestamptz[], timestamptz, integer)",
    "weir_prune_audit(integer)",
)
"""What only the owner may do, within the bounds that the functions set."""
_OWNERS_OWN = (
    "weir_first_id(timestamptz)",
    "weir_columns()",
    "weir_make_leaf(text, text, text[])",
)
"""Parts of the others."""


class RoleMissing(Exception):
    """There is no role of that name."""


async def grant_to(connection: AsyncConnection, role: str, *, make_role: bool = False) -> None:
    """Gives the role what is listed and takes everything else, in one transaction.

    Args:
        make_role: makes the role where it is missing. It can log in and has no password: where
            passwords are asked for nobody is let in by it.

    Raises:
        RoleMissing: it is missing and was not to be made.
    """
    quoted = connection.dialect.identifier_preparer.quote(role)
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if not await connection.scalar(known, {"role": role}):
        if not make_role:
            raise RoleMissing(f"there is no role {role}: CREATE ROLE {quoted} LOGIN PASSWORD '...'")
        await connection.execute(text(f"CREATE ROLE {quoted} LOGIN"))
    schema = await connection.scalar(text("SELECT quote_ident(current_schema)"))
    for statement in _statements(quoted, str(schema)):
        await connection.execute(text(statement))
    await connection.commit()


def _statements(role: str, schema: str) -> Iterator[str]:
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    for table, privileges in TABLES.items():
        yield f"REVOKE ALL ON {schema}.{table} FROM {role}"
        yield f"GRANT {privileges} ON {schema}.{table} TO {role}"
    for function in (*FUNCTIONS, *_OWNERS_OWN):
        # Again: a database that was restored without its privileges lets everybody call.
        yield f"REVOKE ALL ON FUNCTION {schema}.{function} FROM PUBLIC, {role}"
    for function in FUNCTIONS:
        yield f"GRANT EXECUTE ON FUNCTION {schema}.{function} TO {role}"

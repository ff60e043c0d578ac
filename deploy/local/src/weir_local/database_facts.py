"""What a database of the log holds, in numbers that a restored copy must have, too."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_TIMEOUT = 10.0
_TABLES = """
SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
ORDER BY relname
"""
_HEAD = "SELECT number, sha256 FROM audit_batches ORDER BY number DESC LIMIT 1"
_ROLES = "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^pg_' ORDER BY rolname"
_REVISIONS = "alembic_version"


class DatabaseUnreadable(Exception):
    """The database does not answer, or not as one of the log."""


@dataclass(frozen=True)
class DatabaseFacts:
    """Counts and marks, all of one moment."""

    server: str
    """PostgreSQL's version."""
    revision: str | None
    """The schema's; None before the first migration."""
    rows: dict[str, int]
    """By table, partitions counted as the table that they belong to."""
    audit_batches: int
    audit_head: str | None
    """SHA-256 of the audit trail's last batch, in hex."""
    roles: list[str]
    """Who may be named in the privileges, beside the superuser."""

    @property
    def total(self) -> int:
        """Rows of everything that somebody would miss."""
        return sum(rows for table, rows in self.rows.items() if table != _REVISIONS)

    def differences(self, other: "DatabaseFacts") -> list[str]:
        """What differs, but for the server's version."""
        found = [
            f"{table} has {other.rows.get(table, 0)} rows instead of {self.rows.get(table, 0)}"
            for table in sorted(self.rows.keys() | other.rows.keys())
            if self.rows.get(table, 0) != other.rows.get(table, 0)
        ]
        if self.revision != other.revision:
            found.append(f"the schema is {other.revision} instead of {self.revision}")
        if (self.audit_batches, self.audit_head) != (other.audit_batches, other.audit_head):
            found.append("the audit trail ends elsewhere")
        return found


@asynccontextmanager
async def snapshot(socket_directory: Path) -> AsyncIterator[tuple[str, DatabaseFacts]]:
    """A moment of the database: the name by which pg_dump sees the same one, and its facts.

    Raises:
        DatabaseUnreadable: it does not answer.
    """
    connection = await _connect(socket_directory)
    try:
        # The dump may take long, and counting may, too.
        await connection.execute(
            "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0"
        )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            name = await connection.fetchval("SELECT pg_export_snapshot()")
            yield str(name), await _facts(connection)
    finally:
        await connection.close()


async def read_facts(socket_directory: Path) -> DatabaseFacts:
    """What the database holds now.

    Raises:
        DatabaseUnreadable: it does not answer.
    """
    async with snapshot(socket_directory) as (_, facts):
        return facts


async def make_roles(socket_directory: Path, roles: Sequence[str]) -> None:
    """Makes roles in a fresh server, so that privileges can name them; none has a password.

    Raises:
        DatabaseUnreadable: the server does not answer.
    """
    connection = await _connect(socket_directory)
    try:
        for role in roles:
            await connection.execute(f"CREATE ROLE {_quoted(role)} LOGIN")
    finally:
        await connection.close()


async def _facts(connection: asyncpg.Connection) -> DatabaseFacts:
    rows = {}
    for (table,) in await connection.fetch(_TABLES):
        count = f"SELECT count(*) FROM {_quoted(table)}"  # noqa: S608
        rows[table] = await connection.fetchval(count)
    head = await connection.fetchrow(_HEAD) if "audit_batches" in rows else None
    revision = None
    if _REVISIONS in rows:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    return DatabaseFacts(
        server=await connection.fetchval("SHOW server_version"),
        revision=revision,
        rows=rows,
        audit_batches=head["number"] if head else 0,
        audit_head=head["sha256"].hex() if head else None,
        roles=[name for (name,) in await connection.fetch(_ROLES)],
    )


async def _connect(socket_directory: Path) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(
            user="postgres",
            database="postgres",
            host=str(socket_directory),
            timeout=_TIMEOUT,
            server_settings={"application_name": "weir-backup"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnreadable(f"PostgreSQL does not answer: {error}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""`migrate`: brings the database to the newest schema and the service's role to its rights."""

import argparse

import structlog

from prediction_log.database import database_url
from prediction_log.grants import RoleMissing
from prediction_log.migrate import DatabaseAway, MigrationBlocked, schema_revisions, upgrade
from prediction_log.settings import MigrationSettings
from servicekit.startup import run_service

_log = structlog.get_logger(__name__)

_WAIT = 30.0
"""Seconds for the database to come."""


def add_migrate_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the parser."""
    command = commands.add_parser(
        "migrate",
        help="bring the database to the newest schema",
        description="WEIR_DATABASE_URL is that of the tables' owner. May be run again at any time, "
        "while the service works.",
    )
    command.add_argument(
        "--grant-to", default="", metavar="ROLE", help="the service's role: WEIR_SERVICE_ROLE"
    )
    command.add_argument(
        "--make-role",
        action="store_true",
        help="make the role, without a password, where it is missing",
    )
    command.set_defaults(run=_migrate)


def _migrate(arguments: argparse.Namespace) -> int:
    async def run(settings: MigrationSettings) -> None:
        await migrate(settings, arguments.grant_to, make_role=arguments.make_role)

    expected = (DatabaseAway, MigrationBlocked, RoleMissing)
    return run_service("prediction_log", MigrationSettings, run, expected=expected)


async def migrate(settings: MigrationSettings, role: str, *, make_role: bool) -> None:
    """Brings the database to the newest schema and gives the service's role what it needs.

    Args:
        role: instead of the one in the settings; empty for that one.
        make_role: makes it where it is missing.

    Raises:
        RoleMissing: there is no such role.
        DatabaseAway: it cannot be reached.
        MigrationBlocked: somebody held what must change for too long.
    """
    url = database_url(settings.database_url.get_secret_value())
    role = role or settings.service_role
    await upgrade(url, wait=_WAIT, service_role=role, make_role=make_role)
    _log.info("migrated", revision=schema_revisions()[-1], granted_to=role or None)

"""`create-keys` and `rotate-keys`: what an operator does with the log's keys."""

import argparse
import json
import sys
from pathlib import Path

from prediction_log.database import command_database
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.key_files import KeyFileInvalid
from prediction_log.key_making import create_keys
from prediction_log.key_rotation import KeyRotation, RotationResult
from prediction_log.master_keys import MasterKeys
from prediction_log.settings import MasterKeySettings
from servicekit.startup import describe_settings, run_service

_STATEMENT_TIMEOUT = 30.0
_CREATE = """\
Writes the keys that are missing into a directory, readable by their owner alone: the pair that
inputs are sealed with (inference gets the public half), the pair that signs the audit trail
(auditors get the public half), the master keys and the secret of the subjects' pseudonyms.
"""
_ROTATE = """\
Brings every key of a subject under the current master key; texts stay as they are. The service may
go on meanwhile, and what was done stays done when the command is ended: run it again. To rotate:
create-keys --new-master-key, bring the file to every replica, rotate-keys, then take the old master
key out of the file. The exit code is 0 when no key is left under another.
"""


def add_key_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the commands with their options."""
    create = commands.add_parser(
        "create-keys", help="make the log's keys where they are missing", description=_CREATE
    )
    create.add_argument(
        "--directory", type=Path, required=True, metavar="DIRECTORY", help="made when missing"
    )
    create.add_argument(
        "--new-master-key",
        action="store_true",
        help="add a master key and make it the current one; running services read the file again",
    )
    create.set_defaults(run=_create)
    rotate = commands.add_parser(
        "rotate-keys",
        help="bring the keys of subjects under the current master key",
        description=_ROTATE,
        epilog=describe_settings(MasterKeySettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rotate.set_defaults(run=_rotate)


def _create(options: argparse.Namespace) -> int:
    try:
        written = create_keys(options.directory, new_master_key=options.new_master_key)
    except (OSError, KeyFileInvalid) as error:
        sys.stderr.write(f"prediction_log: {error}\n")
        return 1
    sys.stdout.write(json.dumps({"written": [str(file) for file in written]}) + "\n")
    return 0


def _rotate(_: argparse.Namespace) -> int:
    results: list[RotationResult] = []

    async def rotate(settings: MasterKeySettings) -> None:
        if settings.master_keys_file is None:
            raise KeyFileInvalid("WEIR_MASTER_KEYS_FILE is not set")
        master_keys = MasterKeys(settings.master_keys_file)
        address = settings.database_url.get_secret_value()
        async with command_database(address, statement_timeout=_STATEMENT_TIMEOUT) as database:
            results.append(await KeyRotation(database, master_keys).run())

    expected = (KeyFileInvalid, LogStoreUnavailable, QueryTooSlow)
    if run_service("prediction_log", MasterKeySettings, rotate, expected=expected) or not results:
        return 1
    (result,) = results
    answer = {"current": result.current, "rewrapped": result.rewrapped, "left": result.left}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if result.left else 0

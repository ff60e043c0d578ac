"""`create-keys`: what an operator does with the log's keys."""

import argparse
import json
import sys
from pathlib import Path

from prediction_log.key_files import KeyFileInvalid
from prediction_log.key_making import create_keys

NAMES = ("create-keys",)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of these commands."""
    group = parser.add_argument_group(
        "create-keys",
        "Writes the keys that are missing into a directory, readable by their owner alone: the "
        "pair that inputs are sealed with (inference gets the public half), the pair that signs "
        "the audit trail (auditors get the public half), the master keys and the secret of the "
        "subjects' pseudonyms.",
    )
    group.add_argument("--directory", type=Path, metavar="DIRECTORY", help="made when missing")
    group.add_argument(
        "--new-master-key",
        action="store_true",
        help="add a master key and make it the current one; running services read the file again, "
        "rotate-keys brings the older keys of subjects under it",
    )


def run(options: argparse.Namespace) -> int:
    """Runs one of the commands; returns the process's exit code."""
    if options.directory is None:
        return _complain("--directory is needed")
    try:
        written = create_keys(options.directory, new_master_key=options.new_master_key)
    except (OSError, KeyFileInvalid) as error:
        return _complain(str(error))
    sys.stdout.write(json.dumps({"written": [str(file) for file in written]}) + "\n")
    return 0


def _complain(message: str) -> int:
    sys.stderr.write(f"prediction_log: {message}\n")
    return 1

"""The command that makes and changes signing keys."""

import argparse
import re
from datetime import timedelta
from pathlib import Path

from gateway.client_commands import complain, tell
from gateway.key_rotation import (
    DEFAULT_LEAD,
    LeadTooShort,
    replace_compromised,
    rotate,
    take_over,
)
from gateway.signing_keys import SigningKeyInvalid

ROTATE = "rotate-signing-key"
_DESCRIPTION = """\
Prepares the key that will sign access tokens next, and prints every key's state as JSON. Run it
from time to time; gateways see the change within seconds and need no restart.

  1. In an empty directory it makes the first key, which signs at once.
  2. Later it adds a `next` key, which /.well-known/jwks.json shows at once and which signs after
     --lead. Then it is `current`, and the one before is `retiring`: it verifies what it signed
     until the last of it has expired, eleven minutes on.
  3. The run after that deletes the retired key's file. While a key is `next`, nothing is added.

Gateways never write in the directory, and many may read it. A directory that holds one PEM file
and nothing else is taken as it is: its key signs, and the first rotation keeps it until it may go.

As a schedule, daily:
  python -m gateway rotate-signing-key --directory keys --if-older-than 30d

When somebody else has got hold of a key:
  python -m gateway rotate-signing-key --directory keys --compromised
A new key signs at once, all others are gone: who holds a token asks for another.
"""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Teaches the command line about the command."""
    command = commands.add_parser(
        ROTATE,
        help="make the key that signs access tokens, or the next one",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--directory", type=Path, required=True, metavar="DIR", help="WEIR_SIGNING_KEYS_DIR")
    add(
        "--if-older-than",
        type=_duration,
        default=timedelta(0),
        metavar="AGE",
        help="do nothing while the current key has signed for less: 30d, 12h, 90m, 600s",
    )
    add(
        "--lead",
        type=_duration,
        default=DEFAULT_LEAD,
        metavar="TIME",
        help="after how long the new key signs (10m); at least 5m, for which verifiers may keep "
        "the published keys, and as long as the directory takes to reach every gateway",
    )
    add(
        "--take-over",
        type=Path,
        metavar="DIR",
        help="begin an empty directory with the keys of this one, so that no token becomes invalid",
    )
    add("--compromised", action="store_true", help="drop all keys at once for a new one")


def run(options: argparse.Namespace) -> int:
    """Does what the options say and tells each key's state; returns the exit status."""
    try:
        if options.take_over is not None:
            take_over(options.directory, options.take_over)
        states = (
            replace_compromised(options.directory)
            if options.compromised
            else rotate(options.directory, lead=options.lead, if_older_than=options.if_older_than)
        )
    except (SigningKeyInvalid, LeadTooShort, OSError) as error:
        return complain(str(error))
    tell({"directory": str(options.directory), "keys": states})
    return 0


def _duration(text: str) -> timedelta:
    parts = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 30d, 12h, 90m or 600s")
    return timedelta(seconds=int(parts[1]) * _UNITS[parts[2]])

"""What every flow has: where the platform is, and how its checks run."""

import os
import sys
import traceback
from collections.abc import Callable

HTTP = os.environ["WEIR_HTTP"]
GRPC = os.environ["WEIR_GRPC"]
BEARER = f"Bearer {os.environ['WEIR_TOKEN']}"

_checks: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Adds a check to the flow."""
    _checks.append(function)
    return function


def run() -> None:
    """Runs all checks in their order, and ends the program with 1 if one of them failed."""
    failed = 0
    for function in _checks:
        try:
            function()
            print("ok", function.__name__)
        except BaseException:
            failed += 1
            print("FAILED", function.__name__)
            traceback.print_exc()
    sys.exit(min(failed, 1))


def refused(call: Callable[[], object], *told: str) -> None:
    """Checks that a call raises an error whose text holds the words."""
    text = _text_of_error(call)
    assert text is not None, "it was not refused"
    for word in told:
        assert word in text, text


def _text_of_error(call: Callable[[], object]) -> str | None:
    try:
        call()
    except Exception as error:
        return str(error)
    return None

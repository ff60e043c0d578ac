"""What becomes of a fault in judging a window: the window's, not the stream's."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servicekit.errors import Conflict, ServiceError

_HERE = Path(__file__).parent


class WindowUnjudgeable(Conflict):
    """Judging a window failed, and would again.

    Args:
        error: the type of what was raised. Not its text, which may hold what somebody sent.
        place: file and line that it came from.
    """

    reason = "WINDOW_NOT_JUDGED"

    def __init__(self, error: str, place: str) -> None:
        super().__init__(f"The window cannot be judged: {error}.")
        self.error = error
        self.place = place


@contextmanager
def judging() -> Iterator[None]:
    """Around what computes and waits for nothing.

    Raises:
        WindowUnjudgeable: it failed. Errors that say what is the matter pass.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:
        raise WindowUnjudgeable(type(error).__name__, _place(error)) from error


def _place(error: Exception) -> str:
    """Of the innermost line of ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.parent == _HERE:
            return f"{file.name}:{frame.lineno}"
    return ""

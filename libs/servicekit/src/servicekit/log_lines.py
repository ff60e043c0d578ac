"""Where lines of the log go: several together where a turn of the event loop made several."""

import asyncio
import atexit
import sys
import threading

_MOST_WAITING = 64
"""Lines; more of them in one turn go in several writes, none of which fills a pipe."""


class LogLines:
    """Writes lines to stdout, each whole, in the order in which they come.

    A line of the event loop's thread waits for what else the loop does in this turn, and is written
    before the next one; without a loop, at the end of the process, and where somebody must hear of
    it, at once. So a process that ends in any way of Python's own loses nothing; one that is killed
    loses what its loop did since it last looked for work.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        # Held by a thread that is interrupted by what a garbage collection has to say, too.
        self._lock = threading.RLock()
        atexit.register(self.flush)

    def soon(self, line: str) -> None:
        """Writes a line with others."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.now(line)
            return
        with self._lock:
            if not self._waiting:
                loop.call_soon(self.flush)
            self._waiting.append(line + "\n")
            if len(self._waiting) >= _MOST_WAITING:
                self.flush()

    def now(self, line: str) -> None:
        """Writes a line, and what waits before it."""
        self.write(line + "\n")

    debug = info = soon
    warning = error = critical = now

    def write(self, text: str) -> None:
        """Writes whole lines, as to a file."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            # One write: another process that shares the pipe cannot come between.
            text = "".join((*waiting, text))
            if text:
                sys.stdout.write(text)
                sys.stdout.flush()

    def flush(self) -> None:
        """Writes what waits."""
        self.write("")

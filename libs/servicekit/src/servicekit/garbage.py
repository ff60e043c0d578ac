"""When Python looks for cycles of objects that nobody uses."""

import atexit
import gc

_THRESHOLDS = (50_000, 20, 100)


def collect_seldom() -> None:
    """Call it when a service begins to start, whose libraries are all to stay, and so keep it.

    What a request is made of goes when its references do. Looking for cycles in it would find next
    to nothing, and takes a tenth of its time or more.
    """
    gc.set_threshold(*_THRESHOLDS)


def keep_what_is_there() -> None:
    """Call it once a service is assembled: what is there is never looked at again."""
    gc.freeze()
    # Or libraries written in C++ complain on stdout of what nobody took away, in no JSON line.
    atexit.register(gc.unfreeze)

"""When Python looks for cycles of objects that nobody uses, and what is free goes back."""

import asyncio
import atexit
import ctypes
import gc

_THRESHOLDS = (50_000, 20, 100)


def collect_seldom() -> None:
    """Call it before a service's libraries are read, which are all to stay, and so keep it.

    What a request is made of goes when its references do. Looking for cycles in it would find next
    to nothing, and takes a tenth of its time or more.
    """
    gc.set_threshold(*_THRESHOLDS)


def keep_what_is_there() -> None:
    """Call it once a service is assembled: what is there is never looked at again."""
    gc.freeze()
    # Or libraries written in C++ complain on stdout of what nobody took away, in no JSON line.
    atexit.register(gc.unfreeze)


async def give_back_what_is_free() -> None:
    """Gives the memory back that a crowd of callers took and left; call it every so often.

    The C library keeps what lies between two blocks that are in use, for ever: some MiB after two
    thousand connections. Looking for it takes less than a tenth of a millisecond where there is
    none. Other C libraries than glibc keep their own ways.
    """
    if _TRIM is not None:
        await asyncio.to_thread(_TRIM, 0)


_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
